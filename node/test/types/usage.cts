// Compiled, never run: what users write must type-check, what is wrong must not.
import x0x = require('x0x');
import { Agent, AgentId, X0XError, type Message, type EventListener } from 'x0x';

async function usage(target: AgentId): Promise<void> {
  const agent = new Agent({ networkId: 'n', bootstrap: ['127.0.0.1:1'], acceptFrom: 'known' });
  await agent.joinNetwork({ timeout: 1000, signal: AbortSignal.timeout(5) });
  await agent.publish('topic', Buffer.from('hello'));
  await agent.publish('topic', 'text', { timeout: Infinity });
  await agent.publish('topic', 'text', { wait: false });
  agent.setTopicPriority('topic', 'high');
  for (const mesh of agent.topicMesh()) {
    const away: (number | undefined)[] = mesh.links.map((link) => link.distance);
    void [away, mesh.toString(), mesh.priority === 'low', mesh.links[0]?.agentId.equals(target)];
  }
  const known: string[] = agent.knownPeers().flatMap((peer) => peer.addresses);
  const near: AgentId[] = agent.neighbors();
  void [known, near, agent.gossipStats().forwarded];
  new Agent({ activePeers: 4, passivePeers: 8, maxPeersPerAddress: -1 });
  const sub = agent.subscribe('topic', { lagged: 'throw', signal: AbortSignal.timeout(5) });
  for await (const message of sub) {
    const bytes: Buffer = message.payload;
    const seconds: number = message.timestamp;
    void [bytes, seconds, message.sender.toString(), message.trustLevel === 'known'];
  }
  const batch: Message[] = await sub.drain(10);
  void batch;
  agent.subscribe('other', (message) => message.payload.toString());
  const receipt = await agent.sendDirect(target, new Uint8Array(1), { ordered: false, onDisconnect: 'fail' });
  void (receipt.rtt + receipt.sequence);
  const direct = await agent.recvDirect({ timeout: 10 });
  await agent.sendDirect(direct.sender, direct.payloadStr());
  const listener: EventListener = agent.on('connected', (event) => console.log(event.peerId, event.peer_id));
  listener.on('custom', () => {}).stop();
  agent.on('error', (error) => console.log(error.code === 'X0X_E_TIMEOUT', error.delivered));
  agent.off('connected').off('message', console.log);
  const { outcome } = await agent.connectToAgent('00'.repeat(32));
  if (outcome === 'Direct') console.log(x0x.VERSION, x0x.liveHandles());
  await agent.close({ grace: 10 });
  const built: Agent = await Agent.builder().withAgentKey(new Uint8Array(1), new Uint8Array(1)).build();
  await built.close();
  try {
    await agent.close();
  } catch (error) {
    if (error instanceof X0XError && error.retryable) console.log(error.kind);
  }

  // @ts-expect-error no such option
  new Agent({ netwrokId: 'n' });
  // @ts-expect-error a machine id is not an agent id
  await agent.sendDirect(agent.machineId, 'x');
  // @ts-expect-error not a priority
  agent.setTopicPriority('topic', 'urgent');
  // @ts-expect-error sends wait in another way
  await agent.sendDirect(target, 'x', { wait: false });
  const contact = agent.contact(target);
  const seen: number | undefined = contact?.lastSeen ?? contact?.machines[0]?.lastSeen;
  agent.addContact(target, 'known', `seen ${seen}`);
  agent.pinMachine(target, agent.machineId);
  if (agent.evaluateTrust(target, agent.machineId) === 'Accept') agent.setIdentityType(target, 'pinned');
  agent.on('contactChanged', ({ agentId }) => agent.machines(agentId));
  const link: string = agent.card({ displayName: 'Ada', groups: [{ name: 'g', inviteLink: 'i' }] });
  const imported = agent.importCard(link, 'known');
  if (imported.added) agent.verify(imported.agentId, 'c', 'x', agent.sign('c', 'x'));
  const until: number | undefined = agent.certificate()?.expiresAt;
  void until, agent.identityWords(agent.machineId);
  agent.on('agentOnline', ({ agentId, address }) => console.log(agentId.equals(target), address?.length));
  agent.on('identityConflict', ({ machineId, peerId }) => console.log(machineId.equals(peerId)));
  const online = agent.presence().map(({ source, lastSeen = 0 }) => source === 'foaf' || lastSeen > 0);
  const walked = await agent.presenceFoaf({ ttl: 3, timeout: 1000, signal: AbortSignal.timeout(5) });
  const seenOnline: boolean | undefined = (await agent.findPresence(target))?.online ?? agent.presenceStatus(target)?.online;
  void [online, walked, seenOnline];
  new Agent({ visibility: 'social', presenceInterval: 200, presenceTimeout: 1000 });
  // @ts-expect-error not a visibility
  new Agent({ visibility: 'invisible' });
  // @ts-expect-error not an identity type
  agent.setIdentityType(target, 'certain');
  // @ts-expect-error not a level
  agent.setTrust(target, 'friend');
  // @ts-expect-error numbers are not payloads
  await agent.publish('topic', 5);
  // @ts-expect-error an event that is known has a known payload
  agent.on('connected', (event) => event.nothing);
  // @ts-expect-error messages cannot be made
  new x0x.Message();
}
void usage;
