const { Agent } = require('x0x');

async function main() {
  const agent = new Agent();
  await agent.joinNetwork();
  await agent.publish('topic', Buffer.from('hello'));
}

main();
