// An agent, its ids, and what happens around it.
const { Agent } = require('x0x');

async function main() {
  const agent = await Agent.create();
  console.log('agent  ', agent.agentId.toString());
  console.log('machine', agent.peerId());

  agent
    .on('connected', (event) => console.log('connected to', event.agentId.toString(), 'at', event.address))
    .on('disconnected', (event) => console.log('lost', event.agentId.toString(), event.message))
    .on('error', (error) => console.error(error.code, error.message));

  await agent.joinNetwork();
  console.log('listening at', agent.localAddresses().join(', '));
  console.log('peers', agent.peers().length);

  await agent.leaveNetwork();
  await agent.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
