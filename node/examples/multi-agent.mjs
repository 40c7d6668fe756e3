// A coordinator hands out work by private message; workers answer the same way.
import { Agent } from 'x0x';

const coordinator = new Agent();
const workers = [new Agent(), new Agent(), new Agent()];
const all = [coordinator, ...workers];
await Promise.all(all.map((agent) => agent.joinNetwork()));

async function work(agent) {
  for await (const task of agent.directMessages()) {
    const { numbers } = JSON.parse(task.payloadStr());
    await agent.sendDirect(task.sender, JSON.stringify({ sum: numbers.reduce((a, b) => a + b) }));
  }
}
const running = workers.map(work); // each ends when its agent closes

for (const [i, worker] of workers.entries()) {
  await coordinator.connectToAgent(worker.agentId);
  await coordinator.sendDirect(worker.agentId, JSON.stringify({ numbers: [i, i + 1, i + 2] }));
}
for (let answers = 0; answers < workers.length; answers++) {
  const answer = await coordinator.recvDirect({ timeout: 20_000 });
  console.log(answer.sender.toString().slice(0, 8), JSON.parse(answer.payloadStr()));
}

await Promise.all(all.map((agent) => agent.close()));
await Promise.all(running);
