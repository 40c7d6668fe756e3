'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { inspect } = require('node:util');
const { x0x, inNetwork, inPair, noHandles, event, until } = require('./network.js');

const { Agent, AgentId, MachineId, X0XError } = x0x;
const ARGUMENT = 'X0X_E_INVALID_ARGUMENT';

test('the quickstart, as the documents have it', async () => {
  await inNetwork(async (open, options) => {
    process.env.X0X_RUNTIME_DIR = options.runtimeDir;
    const agent = Agent.fromEnv({ networkId: options.networkId });
    delete process.env.X0X_RUNTIME_DIR;
    await agent.joinNetwork();
    await agent.publish('topic', Buffer.from('hello'));
    await agent.close();
  });
});

test('identity: getters and functions agree, two default agents differ', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const b = open();
    assert.equal(a.identity().agentId, a.agentId);
    assert.equal(a.identity().machineId, a.machineId);
    assert.equal(a.userId, undefined);
    assert.equal(a.peerId(), a.machineId.toString());
    assert.match(a.agentId.toString(), /^[0-9a-f]{64}$/);
    assert.ok(!a.agentId.equals(b.agentId) && !a.machineId.equals(b.machineId));
    assert.match(inspect(a), /^Agent\('[0-9a-f]{16}'\)$/);
    await a.close();
    assert.equal(a.agentId.toString().length, 64); // still known
    assert.equal(a.closed, true);
  });
});

test('ids', async (t) => {
  const hex = 'aB'.repeat(32);
  const id = AgentId.fromString(hex);
  assert.equal(id.toString(), hex.toLowerCase());
  assert.equal(`${id}`, hex.toLowerCase());
  assert.equal(JSON.stringify({ id }), `{"id":"${hex.toLowerCase()}"}`);
  assert.ok(id.equals(AgentId.from(Buffer.from(hex, 'hex'))) && id.equals(hex) && id.equals(id.asBytes()));
  assert.ok(!id.equals(MachineId.fromString(hex)), 'roles are types');
  assert.equal(inspect(id), "AgentId('abababababababab')");
  id.asBytes().fill(0);
  assert.equal(id.toString(), hex.toLowerCase(), 'asBytes is a copy');
  await t.test('what is not one', () => {
    assert.throws(() => AgentId.fromString('xyz'), { name: 'RangeError', code: ARGUMENT, message: /^Invalid hex: / });
    assert.throws(() => AgentId.fromString('abc'), { message: /^Invalid hex: / });
    assert.throws(() => AgentId.fromString('ab'), { message: 'AgentId must be 32 bytes, got 1' });
    assert.throws(() => new MachineId(Buffer.alloc(31)), { message: 'MachineId must be 32 bytes, got 31' });
    assert.throws(() => AgentId.from(5), { name: 'TypeError', code: ARGUMENT });
    assert.throws(() => AgentId.from(MachineId.fromString(hex)), { name: 'TypeError' });
  });
});

test('create, builder and options', async (t) => {
  await inNetwork(async (open, options) => {
    const created = await Agent.create(options);
    await created.close();
    const seed = Buffer.alloc(32, 7);
    const builder = Agent.builder().withAgentKey(seed).withRuntimeDir(options.runtimeDir).withNetworkId(options.networkId);
    const built = await builder.build();
    assert.throws(() => builder.withName('x'), { message: 'Builder already consumed by build()' });
    await assert.rejects(builder.build(), { message: /^Builder already consumed - create a new builder/ });
    await built.close();
    const same = open({ agentKey: seed });
    assert.ok(same.agentId.equals(built.agentId), 'the seed gives the id');

    await t.test('a persistent identity', async () => {
      const named = { ...options, homeDir: options.runtimeDir, name: 'alice' };
      const first = new Agent(named);
      assert.throws(() => new Agent(named), { code: 'X0X_E_BUSY', message: /^Failed to create agent: / });
      await first.close();
      const second = await Agent.builder().withOptions(named).build();
      assert.ok(second.agentId.equals(first.agentId));
      await second.close();
      assert.equal(fs.statSync(path.join(options.runtimeDir, '.x0x-alice')).mode & 0o77, 0);
    });

    await t.test('wrong ones', async () => {
      assert.throws(() => new Agent({ networkid: 'x' }), { name: 'TypeError', message: 'unknown option: networkid' });
      assert.throws(() => new Agent({ networkId: 5 }), { name: 'TypeError', code: ARGUMENT });
      assert.throws(() => new Agent({ networkId: 'a\0b' }), { name: 'RangeError' });
      assert.throws(() => new Agent({ inboxMessages: 1.5 }), { name: 'RangeError' });
      assert.throws(() => new Agent({ inboxMessages: -1 }), { name: 'RangeError' });
      assert.throws(() => new Agent({ acceptFrom: 'friend' }), { name: 'RangeError', message: /blocked, unknown, known, trusted/ });
      assert.throws(() => new Agent({ activePeers: -1 }), { name: 'RangeError' });
      assert.throws(() => new Agent({ maxPeersPerAddress: 1.5 }), { name: 'RangeError' });
      assert.throws(() => new Agent({ visibility: 'invisible' }), { name: 'RangeError' });
      assert.throws(() => new Agent({ visibility: 3 }), { name: 'RangeError' });
      assert.throws(() => new Agent({ visibility: true }), { name: 'TypeError' });
      assert.throws(() => new Agent({ presenceInterval: '1' }), { name: 'TypeError' });
      assert.throws(() => Agent.builder().withPresenceBeaconInterval('1'), { name: 'TypeError' });
      assert.throws(() => new Agent({ relay: 1 }), { name: 'TypeError' });
      assert.throws(() => new Agent({ agentKey: 'hunter2' }), (error) => error instanceof TypeError && !error.message.includes('hunter2'));
      assert.throws(() => new Agent({ logLevel: 'loud' }), { name: 'RangeError' });
      assert.throws(() => new Agent(null), { name: 'TypeError' });
      assert.throws(() => new Agent({ ...options, agentKeyPath: '/nonexistent/agent.key' }), { code: 'X0X_E_NOT_FOUND' });
      await assert.rejects(Agent.builder().withMachineKey('/nonexistent').build(), { message: /^Failed to build agent: / });
    });
  });
});

test('arguments are refused before anything happens, by rejection where the method is asynchronous', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const calls = [
      [() => a.publish(5, 'x'), 'TypeError'],
      [() => a.publish('t\0', 'x'), 'RangeError'],
      [() => a.publish('t'.repeat(257), 'x'), 'RangeError'],
      [() => a.publish('ü'.repeat(129), 'x'), 'RangeError'],
      [() => a.publish('t'), 'TypeError'],
      [() => a.publish('t', 5), 'TypeError'],
      [() => a.publish('t', 'x', 5), 'TypeError'],
      [() => a.publish('t', 'x', { timeout: 0 }), 'RangeError'],
      [() => a.publish('t', 'x', { timeout: NaN }), 'RangeError'],
      [() => a.publish('t', 'x', { timeout: '5' }), 'TypeError'],
      [() => a.publish('t', 'x', { signal: {} }), 'TypeError'],
      [() => a.publish('t', 'x', { timeout: 0xfffffffe }), 'RangeError'],
      [() => a.publish('t', 'x', { wait: 0 }), 'TypeError'],
      [() => a.publish('t', 'x', { wait: false, timeout: 5 }), 'RangeError'],
      [() => a.sendDirect('ab', 'x'), 'RangeError'],
      [() => a.sendDirect(undefined, 'x'), 'TypeError'],
      [() => a.sendDirect(a.agentId, 'x', { onDisconnect: 'hope' }), 'RangeError'],
      [() => a.recvDirect({ timeout: -1 }), 'RangeError'],
      [() => a.recvDirectMany(0), 'RangeError'],
      [() => a.connectToAgent('zz'), 'RangeError'],
      [() => a.connectToAddress(5), 'TypeError'],
      [() => a.joinNetwork(null), 'TypeError'],
      [() => a.close({ grace: -1 }), 'RangeError'],
    ];
    for (const [call, name] of calls) {
      const promise = call(); // does not throw
      await assert.rejects(promise, { name, code: ARGUMENT }, call.toString());
    }
    assert.throws(() => a.subscribe('t', 'callback'), { name: 'TypeError' });
    assert.throws(() => a.subscribe('t', { policy: 'none' }), { name: 'RangeError' });
    assert.throws(() => a.subscribe('t', { maxMessages: 0 }), { name: 'RangeError' });
    assert.throws(() => a.setTrust(a.agentId, 'friend'), { name: 'RangeError' });
    assert.throws(() => a.setTopicPriority('t', 'urgent'), { name: 'RangeError', code: ARGUMENT, message: /normal, high, low/ });
    assert.throws(() => a.setTopicPriority('t', 1), { name: 'TypeError' });
    assert.throws(() => a.setTopicPriority('a\0b', 'high'), { name: 'RangeError' });
    assert.throws(() => a.setTopicPriority(5, 'high'), { name: 'TypeError' });
    assert.throws(() => a.addPeer(a.machineId, [5]), { name: 'TypeError' });
    assert.throws(() => a.on('connected'), { name: 'TypeError' });
    assert.throws(() => a.on(5, () => {}), { name: 'TypeError' });
  });
});

test('getters of two agents that see each other', async () => {
  await inPair(async (a, b) => {
    assert.equal(a.isConnected(), true);
    const [peer] = a.peers();
    assert.ok(peer.agentId.equals(b.agentId) && peer.machineId.equals(b.machineId));
    assert.ok(peer.rtt >= 0 && typeof peer.address === 'string' && typeof peer.path === 'string' && typeof peer.dialled === 'boolean');
    assert.deepEqual(a.connectedAgents().map(String), [b.agentId.toString()]);
    assert.ok(a.localAddresses().length > 0);
    const stats = a.stats();
    assert.ok(Object.keys(stats).length > 5 && Object.values(stats).every((n) => typeof n === 'number'));
    assert.equal((await a.connectToAgent(b.agentId.toString())).outcome, 'AlreadyConnected');
    assert.equal((await a.connectToMachine(b.machineId.asBytes())).outcome, 'AlreadyConnected');
    assert.equal((await a.connectToAgent(Buffer.alloc(32, 1), { timeout: 5000 })).outcome, 'NotFound');
    const receipt = await a.sendDirect(b.agentId, 'x');
    assert.equal(receipt.path, 'direct');
    assert.ok(receipt.rtt > 0 && receipt.sequence === 1);
  });
});

test('the mesh of a topic', async () => {
  await inPair(async (a, b) => {
    const sub = b.subscribe('news');
    a.setTopicPriority('news', 'high');
    await a.publish('news', 'x');
    assert.equal((await sub.next()).value.payloadStr(), 'x');
    await until(() => a.topicMesh().some((mesh) => mesh.links.some((link) => link.interested)), 'b subscribes');
    const [mesh] = a.topicMesh();
    const [link] = mesh.links;
    assert.deepEqual([mesh.name, mesh.priority, mesh.subscriptions, mesh.retained, mesh.missing], ['news', 'high', 0, 1, 0]);
    assert.match(mesh.topicId, /^[0-9a-f]{64}$/);
    assert.ok(link.agentId.equals(b.agentId) && (link.rtt === undefined || link.rtt > 0));
    assert.deepEqual([link.eager, link.carries, link.interested, link.distance, link.first, link.duplicates], [true, true, true, 0, 0, 0]);
    assert.equal(inspect(mesh), `${mesh}`);
    const [head, line] = `${mesh}`.split('\n');
    assert.equal(head, "'news': high priority, 0 subscriptions, 1 retained, 0 missing");
    assert.ok(line.startsWith(`  ${b.agentId.toString().slice(0, 16)}  eager  subscribes `) && line.endsWith(' ms  0 first, 0 duplicate'), line);
    // The first message may have been fetched; from now on they are pushed.
    const [theirs] = b.topicMesh();
    assert.deepEqual([theirs.priority, theirs.subscriptions], ['normal', 1]);
    await a.publish('news', 'y');
    assert.equal((await sub.next()).value.payloadStr(), 'y');
    assert.equal(b.topicMesh()[0].links[0].first, theirs.links[0].first + 1);
    assert.deepEqual(a.neighbors().map(String), [b.agentId.toString()]);
    assert.deepEqual(a.knownPeers(), []);
    assert.equal(b.gossipStats().received, 2);
    assert.equal(b.stats()['gossip.received'], 2);
  }, { activePeers: 3, passivePeers: 5, maxPeersPerAddress: -1 });
});

test('with one place for a neighbour, the other is remembered', async () => {
  await inNetwork(async (open) => {
    const [a, b, c] = [open({ activePeers: 1 }), open(), open()];
    for (const agent of [a, b, c]) await agent.joinNetwork();
    await until(() => a.knownPeers().length > 0 && a.neighbors().length > 0, 'a knows both');
    for (const { agentId, machineId, addresses } of a.knownPeers()) {
      const other = [b, c].find((agent) => agent.agentId.equals(agentId));
      assert.ok(machineId.equals(other.machineId) && addresses.length > 0 && addresses.every((address) => address.includes(':')));
    }
  });
});

test('who does not wait for room is refused; each topic takes a signature, so they come faster than they are signed', async () => {
  await inNetwork(async (open) => {
    const a = open({ maxOperations: 100_000 });
    const deadline = Date.now() + 20_000;
    let published = 0;
    const refused = [];
    while (refused.length === 0 && Date.now() < deadline) {
      const all = Array.from({ length: 4000 }, (_, i) => a.publish(`topic ${i}`, '', { wait: false }));
      for (const result of await Promise.allSettled(all)) {
        if (result.status === 'rejected') refused.push(result.reason);
        else published++;
      }
    }
    assert.ok(published >= 1024 && refused.length > 0, `${published} published, ${refused.length} refused`);
    assert.ok(refused.every((error) => error.code === 'X0X_E_BUSY' && error.retryable), refused[0]);
    await a.publish('t', 'now there is room', { wait: false });
  });
});

test('presence', async () => {
  await inNetwork(async (open) => {
    const quick = { presenceInterval: 200, visibility: 'network' };
    const [a, b] = [open(quick), open(quick)];
    assert.deepEqual(a.presence(), []);
    assert.equal(a.presenceStatus(b.agentId), undefined);
    await assert.rejects(a.presenceFoaf(), { code: 'X0X_E_UNREACHABLE' });
    assert.throws(() => a.watchPresence(b.agentId), { code: 'X0X_E_UNREACHABLE' });
    const [came, gone] = [event(a, 'agentOnline'), event(a, 'agent_offline')];
    await a.joinNetwork();
    await b.joinNetwork();
    const online = await came;
    assert.ok(online.agentId.equals(b.agentId) && online.peerId === b.peerId());
    const [entry] = a.presence();
    assert.ok(entry.agentId.equals(b.agentId) && entry.machineId.equals(b.machineId) && entry.lastSeen > 1.6e12);
    assert.deepEqual([entry.source, entry.online], ['direct', true]);
    assert.deepEqual(a.presenceStatus(b.agentId), entry);
    assert.equal(await a.findPresence('11'.repeat(32), { timeout: 200 }), undefined);
    await assert.rejects(a.presenceFoaf({ ttl: 6 }), { code: ARGUMENT });
    await assert.rejects(a.presenceFoaf({ ttl: 0 }), { name: 'RangeError' });
    await assert.rejects(a.presenceFoaf({ signal: AbortSignal.abort() }), { name: 'AbortError' });
    a.watchPresence(b.agentId);
    a.unwatchPresence(b.agentId);
    await b.leaveNetwork();
    assert.ok((await gone).agentId.equals(b.agentId));
    assert.deepEqual(a.presence(), []);
  });
});

test('trust and contacts', async () => {
  await inPair(async (a, b) => {
    assert.equal(a.trust(b.agentId), 'unknown');
    a.setTrust(b.agentId, 'trusted');
    assert.equal(a.trust(b.agentId.toString()), 'trusted');
    const [contact] = a.contacts();
    assert.ok(contact.agentId.equals(b.agentId) && contact.level === 'trusted' && contact.addedAt > 1.6e12);
    await b.sendDirect(a.agentId, 'from a friend');
    assert.equal((await a.recvDirect()).trustDecision, 'Accept');
    const changed = event(a, 'contactChanged');
    a.addContact(b.agentId, 'trusted', 'bea');
    assert.ok((await changed).agentId.equals(b.agentId));
    a.pinMachine(b.agentId, b.machineId);
    const { label, identityType, machines: [machine] } = a.contact(b.agentId);
    assert.deepEqual([label, identityType], ['bea', 'pinned']);
    assert.ok(machine.machineId.equals(b.machineId) && machine.pinned && machine.firstSeen > 1.6e12);
    assert.equal(a.evaluateTrust(b.agentId, b.machineId), 'Accept');
    assert.equal(a.evaluateTrust(b.agentId, a.machineId), 'RejectMachineMismatch');
    assert.equal(a.evaluateTrust(b.agentId), 'RejectMachineMismatch');
    assert.throws(() => a.unpinMachine(b.agentId, a.machineId), { code: 'X0X_E_NOT_FOUND' });
    assert.throws(() => a.setLabel(b.agentId, 'x'.repeat(257)), { code: 'X0X_E_INVALID_ARGUMENT' });
    assert.throws(() => a.setIdentityType(b.agentId, 'certain'), RangeError);
    assert.equal(a.contact(a.agentId), undefined);
    assert.deepEqual(a.machines(a.agentId), []);
    a.unpinMachine(b.agentId, b.machineId);
    a.block(b.agentId);
    await assert.rejects(a.sendDirect(b.agentId, 'x'), { code: 'X0X_E_BLOCKED', kind: 'blocked', delivered: 'no' });
    assert.equal(a.removeContact(b.agentId), true);
    assert.equal(a.removeContact(b.agentId), false);
  });
});

test('statements, cards, the person behind an agent', async () => {
  await inPair(async (a, b) => {
    const signature = a.sign('test/v1', 'x');
    b.verify(a.agentId, 'test/v1', Buffer.from('x'), signature);
    assert.throws(() => b.verify(b.agentId, 'test/v1', 'x', signature), { code: 'X0X_E_AUTH' });
    assert.throws(() => a.sign('', 'x'), { code: 'X0X_E_INVALID_ARGUMENT' });
    assert.throws(() => a.sign(5, 'x'), TypeError);
    assert.equal(a.identityWords().split(' ').length, 4);
    assert.equal(b.identityWords(a.agentId.toString()), a.identityWords());
    const certificate = a.certificate();
    assert.ok(certificate.userId.equals(a.userId) && certificate.issuedAt < certificate.expiresAt);
    assert.ok(Buffer.isBuffer(certificate.bytes));
    assert.equal(b.certificate(), undefined);

    const link = a.card({ displayName: 'Ada', addresses: ['192.0.2.1:9'], groups: [{ name: 'g', inviteLink: 'i' }], lifetime: 60_000 });
    assert.throws(() => a.importCard(link), { code: 'X0X_E_INVALID_ARGUMENT' });
    const card = b.importCard(link, 'trusted');
    assert.ok(card.agentId.equals(a.agentId) && card.machineId.equals(a.machineId));
    assert.deepEqual([card.added, card.level, card.displayName, card.userId], [true, 'trusted', 'Ada', undefined]);
    assert.deepEqual([card.addresses, card.groups, card.stores], [['192.0.2.1:9'], [{ name: 'g', inviteLink: 'i' }], []]);
    assert.equal(card.expiresAt, card.createdAt + 60_000);
    b.block(a.agentId);
    const again = b.importCard(a.card(), 'trusted');
    assert.deepEqual([again.added, again.level], [false, 'blocked']);
    assert.throws(() => a.card({ includeUser: true }), { code: 'X0X_E_POLICY' });
    assert.ok(b.importCard(a.card({ includeUser: true, humanConsent: true })).userId.equals(a.userId));
    assert.throws(() => b.card({ includeUser: true, humanConsent: true }), { code: 'X0X_E_NOT_FOUND' });
    assert.throws(() => a.card({ groups: ['g'] }), TypeError);
    assert.throws(() => a.card({ addresses: ['here'] }), { code: 'X0X_E_INVALID_ARGUMENT' });
  }, { userKey: Buffer.alloc(32, 'u') });
});

test('events: payloads, chaining, stop, once, off', async () => {
  await inNetwork(async (open) => {
    const a = open();
    const b = open();
    const connected = event(a, 'connected');
    const joined = event(a, 'peer_joined'); // the other spelling
    const calls = [];
    const listener = a.on('connected', () => calls.push('stopped'));
    const chained = listener.on('connected', () => calls.push('kept')).once('custom', () => {});
    assert.equal(a.listenerCount('connected'), 3);
    assert.equal(a.listenerCount('custom'), 1);
    listener.stop();
    listener.stop();
    chained.stop();
    assert.equal(a.listenerCount('custom'), 0);
    await Promise.all([a.joinNetwork(), b.joinNetwork()]);
    const got = await connected;
    assert.ok(got.agentId.equals(b.agentId) && got.machineId.equals(b.machineId));
    assert.equal(got.peerId, b.peerId());
    assert.equal(got.peer_id, got.peerId);
    assert.equal(got.path, 'direct');
    assert.ok(got.address.length > 0 && got.timestamp > 1.6e12);
    assert.equal((await joined).peerId, b.peerId());
    assert.deepEqual(calls, ['kept']);
    assert.equal(a.listenerCount('connected'), 1, 'once is gone');
    assert.equal(a.off('connected'), a);
    assert.equal(a.listenerCount('connected'), 0);
    const callback = () => {};
    a.on('error', callback);
    a.on('error', callback);
    a.off('error', callback).off('error', () => {}).off('unknown');
    assert.equal(a.listenerCount('error'), 1);
    const disconnected = event(a, 'disconnected');
    await b.close();
    const gone = await disconnected;
    assert.ok(gone.agentId.equals(b.agentId) && gone.code.startsWith('X0X_') && typeof gone.message === 'string');
    const closed = event(a, 'closed');
    await a.close();
    await closed;
    assert.equal(a.listenerCount('error'), 0);
  });
});

test("the 'message' event copies what is subscribed, while somebody listens", async () => {
  await inNetwork(async (open) => {
    const a = open();
    const sub = a.subscribe('e');
    const got = event(a, 'message');
    await a.publish('e', 'copy');
    const message = await got;
    assert.equal(message.topic, 'e');
    assert.equal(message.payloadStr(), 'copy');
    assert.equal(message.origin, a.agentId.toString());
    assert.equal((await sub.next()).value.payloadStr(), 'copy');
  });
});

test('log events while somebody listens', async () => {
  await inNetwork(async (open) => {
    const a = open({ logLevel: 'debug' });
    const logs = [];
    const listener = a.on('log', (log) => logs.push(log));
    await a.joinNetwork();
    const b = open();
    await b.joinNetwork();
    await a.connectToAgent(b.agentId);
    await until(() => logs.length > 0, 'a log record');
    const [log] = logs;
    assert.ok(typeof log.message === 'string' && log.timestamp > 1.6e12);
    assert.ok(['debug', 'info', 'warn', 'error'].includes(log.levelName));
    listener.stop();
  });
});

test('close is idempotent, and everything after it says closed', async () => {
  await inNetwork(async (open) => {
    const a = open();
    await a.joinNetwork();
    const sub = a.subscribe('t');
    const waiting = sub.next();
    const receiving = a.recvDirect();
    receiving.catch(() => {});
    const closing = a.close();
    const again = a.close();
    assert.deepEqual(await waiting, { value: undefined, done: true });
    await assert.rejects(receiving, { code: 'X0X_E_CLOSED' });
    await Promise.all([closing, again, a.close()]);
    await a[Symbol.asyncDispose]();
    assert.equal(a.closed, true);
    assert.equal(sub.closed, true);
    for (const call of [
      () => a.publish('t', 'x'),
      () => a.joinNetwork(),
      () => a.sendDirect(a.agentId, 'x'),
      () => a.recvDirect(),
      async () => a.subscribe('t'),
      async () => a.peers(),
      async () => a.topicMesh(),
      async () => a.gossipStats(),
      async () => a.neighbors(),
      async () => a.knownPeers(),
      async () => a.setTopicPriority('t', 'low'),
    ]) {
      await assert.rejects(call, (error) => error instanceof X0XError && error.code === 'X0X_E_CLOSED', call.toString());
    }
    assert.deepEqual(await sub.next(), { value: undefined, done: true });
    a.ref().unref();
    a.on('connected', () => {});
  });
  await noHandles();
});

test('errors name what failed, and carry the numbers of the header', async () => {
  await inNetwork(async (open) => {
    const a = open();
    await a.joinNetwork();
    await assert.rejects(a.sendDirect('11'.repeat(32), 'x'), (error) => {
      assert.ok(error instanceof X0XError && error instanceof Error);
      assert.equal(error.name, 'X0XError');
      assert.equal(error.code, 'X0X_E_NOT_FOUND');
      assert.equal(error.kind, 'not_found');
      assert.equal(error.status, -301);
      assert.equal(error.delivered, 'no');
      assert.match(error.message, /^Failed to send: /);
      return true;
    });
    await assert.rejects(a.publish('t', Buffer.alloc((1 << 20) + 1)), { code: 'X0X_E_TOO_LARGE', message: /^Failed to publish: / });
  });
});
