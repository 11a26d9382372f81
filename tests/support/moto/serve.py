"""Serves moto for tests/moto.rs, with two of its checks changed.

moto 5.2.5 checks the signature of its own reading of a form, or of the query where there is no body:
these are other bytes, so that neither a form with a blank nor a GET with a query would pass. Here it
checks that of the body as it came.

moto asks of a policy whether it allows the action for the resource `*`, without conditions, so that a
policy for some records would allow nothing. Here the users of Homing are not asked for rights.
"""

from moto.core.request import Request
from moto.iam.access_control import IAMRequestBase
from moto.server import main

begin = Request.__init__
signed = IAMRequestBase._create_aws_request
permitted = IAMRequestBase.check_action_permitted


def begin_with_body(self, *arguments, **named):
    begin(self, *arguments, **named)
    # Kept before the form is read, which would leave nothing of it.
    self.get_data()


def signed_body(self):
    self._data = None
    return signed(self)


def permitted_unless_narrow(self, resource):
    if "user/homing-" not in self._access_key.arn:
        permitted(self, resource)


Request.__init__ = begin_with_body
IAMRequestBase._create_aws_request = signed_body
IAMRequestBase.check_action_permitted = permitted_unless_narrow
main()
