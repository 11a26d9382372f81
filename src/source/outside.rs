//! Services outside that report the asker's address: which are asked, and how many must agree.
//!
//! Compares the answers; each kind of service is asked by its own file.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

use super::{dns, gateway, stun, web};
use crate::core::address::Family;
use crate::core::address::interface::InterfaceName;
use crate::core::address::standing::{self, ServiceAnswer};
use crate::core::order::SortedSet;
use crate::core::source::{Outside, Service};
use crate::net::http::{self, Clients};
use crate::net::interface::Uplink;

/// The answers of the services to one question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAnswers {
    /// The address that is believed; the error names every service that was asked and what it said.
    pub address: Result<IpAddr, String>,
    /// The name of each service in errors and its answer, in the order of asking.
    pub said: Vec<(String, ServiceAnswer)>,
}

impl ServiceAnswers {
    /// The answers where there is nobody to ask.
    pub(super) fn of_nobody() -> Self {
        Self { address: Err("nobody to ask".to_owned()), said: Vec::new() }
    }
}

/// How long a service may be silent before the others are asked, too: the round waits for them.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// Asks the services in turn until `outside.agree` of them report the same, those in `aside` last. When
/// one is silent for `IMPATIENCE`, all that are left are asked at once.
pub async fn ask(
    outside: &Outside,
    family: Family,
    clients: &Clients,
    aside: &SortedSet<standing::ServiceId>,
) -> ServiceAnswers {
    // A missing interface is reported once, and not for every service; each looks again for itself.
    if let Some(Err(gone)) = outside.bind.map(Uplink::find) {
        let address = Err(format!("no service returned an {family} address: {gone}"));
        return ServiceAnswers { address, said: Vec::new() };
    }
    let able = || outside.services.iter().filter(|service| service.can_tell(family));
    let is_aside = |service: &&Service| aside.contains(&service.known_as(family));
    let in_turn = able().filter(|service| !is_aside(service)).chain(able().filter(is_aside));
    let services: Vec<&Service> = in_turn.collect();
    let mut answers: Vec<Option<Result<IpAddr, String>>> = vec![None; services.len()];
    let ask = |place: usize| {
        let told = ask_service(services[place], family, outside.bind, clients);
        async move { (place, told.await) }
    };
    let mut waiting = 0..services.len();
    let mut asked = FuturesUnordered::new();
    let mut first_silent = None;
    let address = loop {
        if asked.is_empty() {
            let Some(next) = waiting.next() else { break None };
            asked.push(ask(next));
        }
        let answer = if waiting.is_empty() {
            asked.next().await
        } else {
            match select(asked.next(), Box::pin(sleep(IMPATIENCE))).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => {
                    first_silent = Some(waiting.start - 1);
                    asked.extend(waiting.by_ref().map(&ask));
                    continue;
                }
            }
        };
        let Some((place, answer)) = answer else { continue };
        answers[place] = Some(answer);
        let addresses = answers.iter().flatten().filter_map(|answer| answer.as_ref().ok());
        if let Some(address) = agreed(addresses, outside.agree) {
            break Some(address);
        }
    };
    // The service that kept the others waiting gets an error, to be asked last from now on.
    if let Some(silent) = first_silent
        && answers[silent].is_none()
    {
        let patience = humantime::format_duration(IMPATIENCE);
        let name = server(services[silent], family);
        answers[silent] = Some(Err(format!("{name} did not answer within {patience}")));
    }
    let heard = services.iter().zip(answers).filter_map(|(service, answer)| {
        let said = ServiceAnswer { service: service.known_as(family), answer: answer? };
        Some((server(service, family), said))
    });
    let said: Vec<_> = heard.collect();
    let address = address.ok_or_else(|| doubt(&said, outside.agree, family));
    ServiceAnswers { address, said }
}

/// The name of `service` in errors.
fn server(service: &Service, family: Family) -> String {
    match service {
        Service::Dns(_) | Service::Gateway(None) | Service::Stun(_) => service.to_string(),
        Service::Gateway(Some(address)) => format!("gateway {address}"),
        Service::Web { echo, .. } => {
            echo.urls[family].as_deref().map(http::server_of).unwrap_or_default()
        }
    }
}

/// The address of `family` that `service` reports; the error names the service.
async fn ask_service(
    service: &Service,
    family: Family,
    bind: Option<InterfaceName>,
    clients: &Clients,
) -> Result<IpAddr, String> {
    match service {
        Service::Dns(resolver) => dns::ask(resolver, family, bind).await,
        Service::Gateway(address) => gateway::ask(*address, bind, clients).await,
        Service::Stun(server) => stun::ask(server, family, bind).await,
        Service::Web { echo, ca_file } => {
            web::ask(echo, ca_file.as_deref(), family, bind, clients).await
        }
    }
}

/// The first of `addresses` that is among them `agree` times.
fn agreed<'a>(
    mut addresses: impl Iterator<Item = &'a IpAddr> + Clone,
    agree: usize,
) -> Option<IpAddr> {
    let all = addresses.clone();
    let agreed = |found: &&IpAddr| all.clone().filter(|other| other == found).count() >= agree;
    addresses.find(agreed).copied()
}

/// The reason why none of the addresses is believed.
fn doubt(said: &[(String, ServiceAnswer)], agree: usize, family: Family) -> String {
    let answers = said.iter().filter(|(_, said)| said.answer.is_ok()).count();
    let each = each_once(said).join("; ");
    match answers {
        0 => format!("no service returned an {family} address: {each}"),
        few if few < agree => {
            format!("only {few} of {agree} services returned an {family} address: {each}")
        }
        _ => format!("no {agree} services agree on the {family} address: {each}"),
    }
}

/// The reason when all services that were asked failed for one cause; `None` when they did not.
pub fn common_doubt(told: &[&ServiceAnswers], family: Family) -> Option<String> {
    let said: Vec<_> = told.iter().flat_map(|told| told.said.iter().cloned()).collect();
    match &each_once(&said)[..] {
        [cause] if said.iter().all(|(_, said)| said.answer.is_err()) => {
            Some(format!("no service returned an {family} address: {cause}"))
        }
        _ => None,
    }
}

/// The words for each answer; a cause of several services is there once, with the others' names.
fn each_once(said: &[(String, ServiceAnswer)]) -> Vec<String> {
    let mut each: Vec<(String, String, Vec<&str>)> = Vec::new();
    for (name, said) in said {
        let (cause, text) = match &said.answer {
            Ok(address) => (String::new(), format!("{name} says {address}")),
            Err(reason) => (reason.replace(name.as_str(), ""), reason.clone()),
        };
        match each.iter_mut().find(|(known, ..)| !cause.is_empty() && *known == cause) {
            Some((.., others)) => others.push(name),
            None => each.push((cause, text, Vec::new())),
        }
    }
    let told = each.into_iter().map(|(_, text, others)| match &others[..] {
        [] => text,
        others => format!("{text} (the same for {})", others.join(", ")),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answers: &[(&str, Result<&str, &str>)]) -> Vec<(String, ServiceAnswer)> {
        let said = |(name, answer): &(&str, Result<&str, &str>)| {
            let service = standing::ServiceId { name: (*name).to_owned(), family: Family::V4 };
            let answer = answer.map(|text| text.parse().unwrap()).map_err(str::to_owned);
            ((*name).to_owned(), ServiceAnswer { service, answer })
        };
        answers.iter().map(said).collect()
    }

    #[test]
    fn as_many_as_asked_for_must_say_the_same() {
        let said: [IpAddr; 3] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert_eq!(agreed(said.iter(), 1), Some(said[0]));
        assert_eq!(agreed(said.iter(), 2), Some(said[1]));
        assert_eq!(agreed(said.iter(), 3), None);
        assert_eq!(agreed([].iter(), 1), None);
    }

    #[track_caller]
    fn check(answers: &[(&str, Result<&str, &str>)], agree: usize, family: Family, expect: &str) {
        assert_eq!(doubt(&said(answers), agree, family), expect);
    }

    #[test]
    fn disagreement_is_told_from_too_few_answers() {
        let (one, two) = (("a", Ok("192.0.2.1")), ("b", Ok("192.0.2.2")));
        let silent = ("c", Err("c refuses the connection"));
        check(
            &[one, two, silent],
            2,
            Family::V4,
            "no 2 services agree on the IPv4 address: a says 192.0.2.1; b says 192.0.2.2; \
             c refuses the connection",
        );
        check(
            &[one, silent],
            2,
            Family::V4,
            "only 1 of 2 services returned an IPv4 address: a says 192.0.2.1; c refuses the \
                connection",
        );
        let nothing = "no service returned an IPv6 address: c refuses the connection";
        check(&[silent], 1, Family::V6, nothing);
    }

    #[test]
    fn a_cause_that_several_services_have_is_told_once() {
        let refuses = ["no connection to a", "no connection to b", "no connection to c.d"];
        let [a, b, c] = refuses;
        let answers = [("a", Err(a)), ("b", Err(b)), ("x", Err("x is silent")), ("c.d", Err(c))];
        let told = "no service returned an IPv4 address: no connection to a (the same for b, c.d); x is \
                silent";
        check(&answers, 1, Family::V4, told);
        let told = |answers: &[(&str, Result<&str, &str>)]| ServiceAnswers {
            address: Err(String::new()),
            said: said(answers),
        };
        let (own, others) = (told(&answers[..1]), told(&answers[1..2]));
        let common = "no service returned an IPv4 address: no connection to a (the same for b)";
        assert_eq!(common_doubt(&[&own, &others], Family::V4).unwrap(), common);
        let (other, right) = (told(&answers[1..3]), told(&[("b", Ok("192.0.2.1"))]));
        assert_eq!(common_doubt(&[&own, &other], Family::V4), None);
        assert_eq!(common_doubt(&[&own, &right], Family::V4), None);
    }
}
