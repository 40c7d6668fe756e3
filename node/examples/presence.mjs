// Who is online, now and later.
import { Agent } from 'x0x';

// A beacon each second, so that this is over soon; the default of 30 costs next to nothing.
const [alice, bob] = [new Agent({ presenceInterval: 1000 }), new Agent({ presenceInterval: 1000 })];
alice.ref(); // waiting for an event alone does not keep a process running
const next = (event) => new Promise((resolve) => alice.once(event, resolve));
const short = (id) => id.toString().slice(0, 16);

const [came, gone] = [next('agentOnline'), next('agentOffline')];
await alice.joinNetwork();
await bob.joinNetwork();

const { agentId, machineId } = await came;
console.log(`online  ${short(agentId)} on machine ${short(machineId)}`);
console.log(`listed  ${alice.presence().length}`);

// Somebody who is no neighbour: friends ask their friends. Here bob is near anyhow.
const entry = alice.presenceStatus(bob.agentId) ?? (await alice.findPresence(bob.agentId));
console.log(`found   ${entry ? `yes, ${entry.source}` : 'no'}`);

// Contacts are watched wherever they are; others on request.
alice.watchPresence(bob.agentId);
await bob.leaveNetwork();
console.log(`offline ${short((await gone).agentId)}`);

await Promise.all([alice, bob].map((agent) => agent.close()));
