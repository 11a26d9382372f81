// Prints what the overview makes of the status on standard input, for a test that has a real one.

import { readFileSync } from 'node:fs';
import { router } from './stand_in.mjs';

const status = { code: 0, stdout: readFileSync(0, 'utf8') };
process.stdout.write(JSON.stringify(router().load('homing.facts').status(status, Date.now())));
