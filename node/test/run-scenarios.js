'use strict';

/**
 * Runs include/scenarios.json, the list that the runners of all languages share, against this
 * package: node test/run-scenarios.js [file] [name part]. Prints a line per scenario and the
 * count at the end; the exit code is 0 only if all passed and none was skipped.
 */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const x0x = require('..');

const WAIT = 20_000;

/** "text" | {"hex"} | {"repeat","times"} | {"random","size"} */
function payload(value) {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if ('hex' in value) return Buffer.from(value.hex, 'hex');
  if ('repeat' in value) return Buffer.from(value.repeat.repeat(value.times), 'utf8');
  const out = Buffer.allocUnsafe(value.size);
  for (let i = 0; i < out.length; i++) out[i] = (value.random * 31 + i * 7 + (i >> 8) * 13) & 255;
  return out;
}

function text(value) {
  return typeof value === 'string' ? value : payload(value).toString('utf8');
}

class World {
  constructor(scenario) {
    this.scenario = scenario;
    this.tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'x0x-scenario-'));
    this.network = `scenario-node-${process.pid}-${Math.random().toString(36).slice(2)}`;
    this.agents = {};
    this.subs = {};
    this.events = {};
    this.saved = {};
    this.kept = new Map(); // signatures and links by the names that steps give
  }

  agent(name) {
    const agent = this.agents[name];
    if (!agent) throw new Error(`agent ${name} is not open`);
    return agent;
  }

  open(name) {
    const options = { runtimeDir: path.join(this.tmp, 'run'), networkId: this.network };
    for (const [key, value] of Object.entries(this.scenario.agents[name])) {
      switch (key) {
        case 'open':
          break;
        case 'network':
          options.networkId = `${this.network}-${value}`;
          break;
        case 'no_local_discovery':
          options.localDiscovery = !value;
          break;
        case 'no_relay':
          options.relay = !value;
          break;
        case 'machine_key':
        case 'agent_key':
        case 'user_key':
          options[camel(key)] = payload(value);
          break;
        default:
          options[camel(key)] =
            typeof value === 'string' ? this.string(value) : value;
      }
    }
    const agent = new x0x.Agent(options);
    this.agents[name] = agent;
    const log = (this.events[name] = []);
    for (const event of ['connected', 'disconnected', 'peerJoined', 'error', 'sessionReset', 'contactChanged', 'identityConflict', 'agentOnline', 'agentOffline']) {
      agent.on(event, (data) => this.record(log, event, data));
    }
    return agent;
  }

  record(log, name, data) {
    log.push({ name, data });
    log.wake?.();
  }

  /** "$TMP…", "$a.address", "$saved.field" or the text itself. */
  string(value) {
    if (!value.startsWith('$')) return value;
    if (value.startsWith('$TMP')) return this.tmp + value.slice(4);
    const [name, field] = value.slice(1).split('.');
    if (field === 'address' && this.agents[name]) return this.agents[name].localAddresses()[0];
    return field === undefined ? this.saved[name] : this.saved[name][field];
  }

  /** "@b", "@b.machine", {"hex"}, "$var". */
  id(value) {
    if (typeof value === 'object') return value.hex;
    if (value.startsWith('$')) return this.string(value);
    if (!value.startsWith('@')) return value;
    const [name, part] = value.slice(1).split('.');
    return part === 'machine' ? this.agent(name).machineId.toString() : this.agent(name).agentId.toString();
  }

  /** Each actor names its own subscriptions. */
  sub(actor, name) {
    return this.subs[`${actor}/${name}`];
  }

  async step({ actor, call, args = {}, timeout_ms }) {
    const limit = { timeout: timeout_ms ?? args.timeout_ms ?? WAIT };
    if (call === 'open') return void this.open(actor);
    const a = this.agent(actor);
    switch (call) {
      case 'join': return a.joinNetwork(limit);
      case 'leave': return a.leaveNetwork(limit);
      case 'close': return a.close();
      case 'identity': return { agent_id: a.agentId.toString(), machine_id: a.machineId.toString() };
      case 'is_connected': return { connected: a.isConnected() };
      case 'is_agent_connected': return { connected: a.isAgentConnected(this.id(args.agent)) };
      case 'connect_agent': return a.connectToAgent(this.id(args.agent), limit);
      case 'connect_machine': return a.connectToMachine(this.id(args.machine), limit);
      case 'connect_address': {
        const found = await a.connectToAddress(args.address ?? this.agent(args.of).localAddresses()[0], limit);
        return { agent_id: found.agentId.toString(), machine_id: found.machineId.toString() };
      }
      case 'add_peer': {
        const other = this.agent(args.of);
        return a.addPeer(other.machineId, other.localAddresses());
      }
      case 'publish':
        return this.repeat(args, (bytes) => a.publish(text(args.topic), bytes, args.wait === false ? { wait: false } : limit));
      case 'subscribe':
        this.subs[`${actor}/${args.as}`] = a.subscribe(text(args.topic), {
          replay: args.replay ?? true,
          maxMessages: args.max_messages,
          policy: args.policy,
          lagged: 'throw',
        });
        return undefined;
      case 'unsubscribe': return this.sub(actor, args.sub).unsubscribe();
      case 'next': return this.next(this.sub(actor, args.sub), limit);
      case 'next_many': return this.nextMany(this.sub(actor, args.sub), args, limit);
      case 'no_message': return this.nothing(() => this.sub(actor, args.sub).next({ timeout: args.for_ms }));
      case 'send': {
        const to = this.id(args.to);
        const options = { ...limit, ordered: !args.unordered, onDisconnect: args.fail_on_disconnect ? 'fail' : 'wait' };
        return this.repeat(args, (bytes) => a.sendDirect(to, bytes, options));
      }
      case 'recv': {
        const m = await a.recvDirect(limit);
        return {
          payload: m.payload,
          sender: m.origin,
          machine_id: m.machineId.toString(),
          sequence: m.sequence,
          trust_decision: m.trustDecision,
        };
      }
      case 'recv_many': {
        const got = [];
        while (got.length < args.count) got.push(...(await a.recvDirectMany(args.count - got.length, limit)));
        return this.compareMany(got, args);
      }
      case 'no_direct': return this.nothing(() => a.recvDirect({ timeout: args.for_ms }));
      case 'set_trust': return a.setTrust(this.id(args.agent), args.level);
      case 'trust': return { level: a.trust(this.id(args.agent)) };
      case 'contacts': return { count: a.contacts().length };
      case 'sign': {
        const signature = a.sign(args.context, payload(args.payload));
        this.kept.set(args.as, signature);
        return { size: signature.length };
      }
      case 'verify': {
        const signature = this.kept.get(args.signature) ?? Buffer.from(args.signature);
        return a.verify(this.id(args.agent), args.context, payload(args.payload), signature);
      }
      case 'identity_words': return { words: a.identityWords(this.id(args.agent)) };
      case 'card': {
        const { display_name: displayName, include_user: includeUser, human_consent: humanConsent } = args;
        const groups = [{ name: 'g', inviteLink: 'i' }];
        const stores = [{ name: 's', topic: 't' }];
        this.kept.set(args.as, a.card({ displayName, includeUser, humanConsent, groups, stores }));
        return undefined;
      }
      case 'import_card': {
        const card = a.importCard(this.kept.get(args.link) ?? args.link, args.level);
        const { added, level, displayName: display_name, userId, addresses, groups, stores } = card;
        const counts = { addresses: addresses.length, groups: groups.length, stores: stores.length };
        return { agent: card.agentId.toString(), added, level, display_name, user: userId !== undefined, ...counts };
      }
      case 'certificate': {
        const certificate = a.certificate();
        assert.equal(certificate?.userId.toString(), a.userId?.toString());
        return { exists: certificate !== undefined };
      }
      case 'contact': {
        const contact = a.contact(this.id(args.agent));
        if (contact === undefined) return { exists: false };
        const machines = a.machines(this.id(args.agent));
        const { level, label, identityType: identity_type } = contact;
        return { exists: true, level, label, identity_type, machines: machines.length, pinned: machines.filter((m) => m.pinned).length };
      }
      case 'add_contact': return a.addContact(this.id(args.agent), args.level, args.label);
      case 'set_label': return a.setLabel(this.id(args.agent), args.label);
      case 'set_identity_type': return a.setIdentityType(this.id(args.agent), args.identity_type);
      case 'add_machine': return a.addMachine(this.id(args.agent), this.id(args.machine), args.label);
      case 'remove_machine': return a.removeMachine(this.id(args.agent), this.id(args.machine));
      case 'pin_machine': return a.pinMachine(this.id(args.agent), this.id(args.machine));
      case 'unpin_machine': return a.unpinMachine(this.id(args.agent), this.id(args.machine));
      case 'evaluate_trust': return { decision: a.evaluateTrust(this.id(args.agent), args.machine && this.id(args.machine)) };
      case 'remove_contact': return { existed: a.removeContact(this.id(args.agent)) };
      case 'peers': return { count: a.peers().length };
      case 'wait_peers': return this.waitPeers(a, actor, args.count, limit.timeout);
      case 'presence': return { count: a.presence().length };
      case 'wait_presence': return void (await this.until(actor, limit.timeout, () => a.presence().length === args.count));
      case 'presence_status': {
        const entry = a.presenceStatus(this.id(args.agent));
        if (entry === undefined) return { exists: false };
        return { exists: true, online: entry.online, source: entry.source, machine_id: entry.machineId.toString() };
      }
      case 'presence_foaf': return { count: (await a.presenceFoaf({ ttl: args.ttl, timeout: args.timeout_ms })).length };
      case 'find_presence': {
        const deadline = Date.now() + limit.timeout;
        while (!(await a.findPresence(this.id(args.agent), { ttl: args.ttl, timeout: args.timeout_ms }))) {
          assert.ok(Date.now() < deadline, 'no walk found it');
          await this.woken(this.events[actor], 50);
        }
        return undefined;
      }
      case 'watch_presence': return a.watchPresence(this.id(args.agent));
      case 'unwatch_presence': return a.unwatchPresence(this.id(args.agent));
      case 'set_topic_priority': return a.setTopicPriority(text(args.topic), args.priority);
      case 'neighbors': return { count: a.neighbors().length };
      case 'known_peers': return { count: a.knownPeers().length };
      case 'wait_neighbor': {
        const wanted = this.id(args.agent);
        await this.until(actor, limit.timeout, () => a.neighbors().some((id) => id.equals(wanted)));
        return { count: a.neighbors().length };
      }
      case 'wait_link': return this.until(actor, limit.timeout, () => this.link(a, text(args.topic), this.id(args.agent)));
      case 'gossip_stats': {
        const stats = a.gossipStats();
        assert.ok(args.name in stats, `no counter ${args.name}`);
        return { value: stats[args.name] };
      }
      case 'event': return this.event(actor, camel(args.name), limit.timeout);
      case 'set_events': {
        const log = this.events[actor];
        if (args.mask & 2) a.on('message', (m) => this.record(log, 'message', m));
        else a.off('message');
        return undefined;
      }
      case 'subscription_info': return this.sub(actor, args.sub).info();
      case 'inbox_info': return a.inboxInfo();
      case 'stats': {
        const stats = a.stats();
        assert.ok(args.name in stats, `no counter ${args.name}`);
        return { value: stats[args.name] };
      }
      default: throw new Error(`unknown call ${call}`);
    }
  }

  /** With a count: text-0, text-1, … pipelined, all must complete. */
  async repeat(args, send) {
    if (args.count === undefined) return send(payload(args.payload));
    let last;
    const all = [];
    for (let i = 0; i < args.count; i++) all.push(send(Buffer.from(`${args.payload}-${i}`)));
    for (const promise of await Promise.allSettled(all)) {
      if (promise.status === 'rejected') throw promise.reason;
      last = promise.value;
    }
    return last;
  }

  async next(sub, limit) {
    try {
      const { value: m, done } = await sub.next(limit);
      if (done) throw Object.assign(new Error('the subscription is closed'), { kind: 'closed' });
      return { payload: m.payload, sender: m.origin, topic: m.topic, sequence: m.sequence, trust_level: m.trustLevel };
    } catch (error) {
      if (error instanceof x0x.LaggedError) return { lagged: error.count };
      throw error;
    }
  }

  async nextMany(sub, args, limit) {
    const got = [];
    while (got.length < args.count) {
      const batch = await sub.drain(args.count - got.length, limit);
      assert.ok(batch.length > 0, `the subscription ended after ${got.length} messages`);
      got.push(...batch);
    }
    return this.compareMany(got, args);
  }

  compareMany(got, { count, first = 0, payload: prefix }) {
    assert.deepStrictEqual(
      got.map((m) => m.payloadStr()),
      Array.from({ length: count }, (_, i) => `${prefix}-${first + i}`),
    );
    return undefined;
  }

  async nothing(read) {
    let got;
    try {
      got = await read();
    } catch (error) {
      if (error.kind === 'timeout') return;
      throw error;
    }
    assert.fail(`something arrived: ${JSON.stringify(got)}`);
  }

  async waitPeers(agent, actor, count, limit) {
    await this.until(actor, limit, () => agent.peers().length >= count);
  }

  /** The first true value of look(), which is asked whenever an event comes, and now and then. */
  async until(actor, limit, look) {
    const deadline = Date.now() + limit;
    for (;;) {
      const found = look();
      if (found) return found;
      assert.ok(Date.now() < deadline, 'it did not happen in time');
      await this.woken(this.events[actor], Math.min(100, Math.max(1, deadline - Date.now())));
    }
  }

  /** A neighbour behind whom somebody subscribes. */
  link(agent, topic, id) {
    const mesh = agent.topicMesh().find(({ name }) => name === topic);
    const link = mesh?.links.find(({ agentId, interested }) => interested && agentId.equals(id));
    return link && { ...link, priority: mesh.priority, subscriptions: mesh.subscriptions };
  }

  /** The next event of this name; others before it are skipped. */
  async event(actor, name, limit) {
    const log = this.events[actor];
    const deadline = Date.now() + limit;
    for (;;) {
      while (log.length > 0) {
        const entry = log.shift();
        if (entry.name !== name) continue;
        const { data } = entry;
        if (name === 'message') return { agent: data.origin, payload: data.payload, topic: data.topic };
        return { agent: data.agentId?.toString(), machine_id: data.machineId?.toString(), code: data.code };
      }
      assert.ok(Date.now() < deadline, `no '${name}' event`);
      await this.woken(log, deadline - Date.now());
    }
  }

  /** Until something is recorded, or the time is over. */
  woken(log, ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      log.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  compare(result, expect) {
    for (const [field, wanted] of Object.entries(expect)) {
      const got = result?.[field];
      const alternatives = Array.isArray(wanted) ? wanted : [wanted];
      assert.ok(
        alternatives.some((one) => this.same(field, got, one)),
        `${field}: got ${brief(got)}, want ${brief(wanted)}`,
      );
    }
  }

  same(field, got, wanted) {
    if (field === 'at_least') return true;
    if (field === 'payload') return Buffer.isBuffer(got) && got.equals(payload(wanted));
    if (typeof wanted === 'string' && /^[@$]/.test(wanted)) return got === this.id(wanted);
    if (wanted !== null && typeof wanted === 'object') return got === wanted.hex;
    return got === wanted;
  }

  async run() {
    const { agents, steps } = this.scenario;
    try {
      for (const name of Object.keys(agents)) if (agents[name].open !== false) this.open(name);
      for (const [i, step] of steps.entries()) {
        const where = `step ${i + 1} (${step.actor} ${step.call})`;
        let result;
        try {
          result = await this.step(step);
        } catch (error) {
          const kind = error.kind ?? error.code;
          if (step.error !== undefined && kind === step.error) continue;
          throw Object.assign(new Error(`${where}: ${step.error ? `want the error ${step.error}, got ` : ''}${error.code ?? ''} ${error.message}`), { cause: error });
        }
        if (step.error !== undefined) throw new Error(`${where}: want the error ${step.error}, it succeeded with ${brief(result)}`);
        try {
          if (step.expect) this.compare(result, step.expect);
          if (step.at_least !== undefined) assert.ok(result.value >= step.at_least);
          if (step.expect?.at_least !== undefined) assert.ok(result.value >= step.expect.at_least, `value ${result.value}`);
        } catch (error) {
          throw new Error(`${where}: ${error.message}`, { cause: error });
        }
        if (step.save) this.saved[step.save] = result;
      }
    } finally {
      await Promise.all(Object.values(this.agents).map((agent) => agent.close({ grace: 1000 })));
      fs.rmSync(this.tmp, { recursive: true, force: true });
    }
    const deadline = Date.now() + 5000;
    while (x0x.liveHandles() !== 0) {
      assert.ok(Date.now() < deadline, `${x0x.liveHandles()} handles are left`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

function camel(name) {
  return name.replace(/_ms$/, '').replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

function brief(value) {
  const shown = Buffer.isBuffer(value) ? `${value.length} bytes ${value.subarray(0, 16).toString('latin1')}` : JSON.stringify(value);
  return String(shown).slice(0, 120);
}

async function main(file = path.join(__dirname, '../../include/scenarios.json'), filter = '', print = console.log) {
  const { version, scenarios } = JSON.parse(fs.readFileSync(file, 'utf8'));
  assert.equal(version, 1);
  const chosen = scenarios.filter((scenario) => scenario.name.includes(filter));
  let passed = 0;
  let failed = 0;
  for (const scenario of chosen) {
    try {
      await new World(scenario).run();
      passed++;
      print(`scenario ${scenario.name} ok`);
    } catch (error) {
      failed++;
      print(`scenario ${scenario.name} FAILED: ${error.message}`);
    }
  }
  print(`${passed} scenarios passed, ${failed} failed, 0 skipped`);
  return { passed, failed, total: chosen.length };
}

module.exports = { main };

if (require.main === module) {
  main(process.argv[2], process.argv[3]).then(({ passed, failed }) => {
    process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  });
}
