// Two agents: one publishes five messages, the other reads them.
const { Agent } = require('x0x');

async function main() {
  const alice = await Agent.create();
  const bob = await Agent.create();
  await Promise.all([alice.joinNetwork(), bob.joinNetwork()]);

  const messages = bob.subscribe('greetings');
  for (let i = 1; i <= 5; i++) await alice.publish('greetings', `hello ${i}`);

  let count = 0;
  for await (const message of messages) {
    console.log(`${message.sender.toString().slice(0, 8)} #${message.sequence}: ${message.payloadStr()}`);
    if (++count === 5) break; // closes the subscription
  }

  await Promise.all([alice.close(), bob.close()]);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
