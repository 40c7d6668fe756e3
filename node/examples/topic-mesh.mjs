// How a topic flows: who is pushed to, what came from whom.
import { Agent } from 'x0x';
import { setTimeout as sleep } from 'node:timers/promises';

const TOPIC = 'examples/mesh';

const [alice, bob, carol] = [new Agent(), new Agent(), new Agent()];
for (const agent of [alice, bob, carol]) await agent.joinNetwork();
const readers = [bob, carol].map((agent) => agent.subscribe(TOPIC));

alice.setTopicPriority(TOPIC, 'high');
await alice.publish(TOPIC, 'hello');
for (const reader of readers) await reader.next({ timeout: 20_000 });

// That the two subscribe is told within moments.
const subscribers = (mesh) => mesh.links.filter((link) => link.interested).length;
for (let tries = 0; tries < 400; tries++) {
  const mesh = alice.topicMesh().find(({ name }) => name === TOPIC);
  if (mesh && subscribers(mesh) === readers.length) {
    console.log(mesh);
    break;
  }
  await sleep(50);
}
console.log('neighbours:', alice.neighbors());
const { published, forwarded } = alice.gossipStats();
console.log(`published ${published}, forwarded ${forwarded}`);

await Promise.all([alice, bob, carol].map((agent) => agent.close()));
