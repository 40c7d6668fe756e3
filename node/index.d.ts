/// <reference types="node" />

/** The version of this package and of the library in it. */
export const VERSION: string;
export const NAME: 'x0x';

// ---------------------------------------------------------------------------- ids

/** 32 bytes: SHA-256 of a public key. */
declare abstract class Id {
  constructor(bytes: Uint8Array);
  /** 64 hex digits, lower case. */
  toString(): string;
  toJSON(): string;
  /** A copy of the 32 bytes. */
  asBytes(): Buffer;
  equals(other: unknown): boolean;
}
export class AgentId extends Id {
  /** @throws RangeError 'Invalid hex: …' or 'AgentId must be 32 bytes, got N' */
  static fromString(hex: string): AgentId;
  static from(value: AgentIdLike): AgentId;
  private readonly role: 'agent';
}
export class MachineId extends Id {
  static fromString(hex: string): MachineId;
  static from(value: MachineIdLike): MachineId;
  private readonly role: 'machine';
}
export class UserId extends Id {
  static fromString(hex: string): UserId;
  static from(value: UserId | string | Uint8Array): UserId;
  private readonly role: 'user';
}
/** The id, 64 hex digits, or 32 bytes. */
export type AgentIdLike = AgentId | string | Uint8Array;
export type MachineIdLike = MachineId | string | Uint8Array;

// ---------------------------------------------------------------------------- errors

/** The C names of the statuses; the same in every language of x0x. */
export type ErrorCode =
  | 'X0X_E_INVALID_ARGUMENT' | 'X0X_E_BAD_HANDLE' | 'X0X_E_WRONG_KIND' | 'X0X_E_TOO_SMALL' | 'X0X_E_UNSUPPORTED'
  | 'X0X_E_CLOSED' | 'X0X_E_BUSY' | 'X0X_E_CANCELLED' | 'X0X_E_TIMEOUT'
  | 'X0X_E_NOT_FOUND' | 'X0X_E_UNREACHABLE' | 'X0X_E_DISCONNECTED' | 'X0X_E_NETWORK_MISMATCH'
  | 'X0X_E_AUTH' | 'X0X_E_CORRUPT' | 'X0X_E_IO'
  | 'X0X_E_BLOCKED' | 'X0X_E_POLICY' | 'X0X_E_TOO_LARGE' | 'X0X_E_LIMIT' | 'X0X_E_LAGGED'
  | 'X0X_E_PANIC' | 'X0X_E_POISONED' | 'X0X_E_FORKED' | 'X0X_E_UNKNOWN';

/**
 * A failure that the library reports. Arguments that are wrong in themselves are TypeError or
 * RangeError, with the code 'X0X_E_INVALID_ARGUMENT'. An abort has the name 'AbortError', the
 * code 'X0X_E_CANCELLED' and the signal's reason as its cause.
 */
export class X0XError extends Error {
  readonly code: ErrorCode;
  /** The code in lower case: 'timeout'. */
  readonly kind: string;
  /** The code as a number. */
  readonly status: number;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** The agent is no longer usable. */
  readonly fatal: boolean;
  /** Of a failed send: certainly not, or possibly, delivered. */
  readonly delivered: 'no' | 'unknown' | undefined;
  readonly cause?: unknown;
  readonly details?: unknown;
  /** Of an 'error' event: whom it is about. */
  readonly agentId?: AgentId;
}

/** Thrown to readers of a subscription with `lagged: 'throw'`, at the position of the loss. */
export class LaggedError extends X0XError {
  readonly count: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

// ---------------------------------------------------------------------------- messages

export type TopicPriority = 'normal' | 'high' | 'low';
export type TrustLevel = 'blocked' | 'unknown' | 'known' | 'trusted';
export type TrustDecision = 'Unknown' | 'Accept' | 'AcceptWithFlag' | 'RejectBlocked' | 'RejectMachineMismatch';
export type IdentityType = 'anonymous' | 'known' | 'trusted' | 'pinned';
/** To whom an agent says that it is online: neighbours, who tell others; contacts; nobody. */
export type Visibility = 'network' | 'social' | 'hidden';
/** How it is known that an agent is online: it said so itself, or somebody passed on what it signed. */
export type PresenceSource = 'direct' | 'foaf';
export type ConnectOutcome = 'Direct' | 'Coordinated' | 'AlreadyConnected' | 'Unreachable' | 'NotFound';

/** Bytes as they are, or text as UTF-8. */
export type Payload = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

interface Received {
  /**
   * A view into the batch that it came with (up to 256 KiB): copy it with Buffer.from() where
   * a small payload is to be kept for long.
   */
  readonly payload: Buffer;
  /** The payload's length in bytes. */
  readonly size: number;
  readonly sender: AgentId;
  /** The sender as hex. */
  readonly origin: string;
  readonly sequence: number;
  /** Always true: what cannot be verified is not delivered. */
  readonly verified: true;
  /** The payload read as UTF-8. */
  payloadStr(): string;
}

export interface Message extends Received {
  readonly topic: string;
  /** The sender's clock, Unix seconds. */
  readonly timestamp: number;
  /** The sender's clock, Unix milliseconds. */
  readonly timestampMs: number;
  /** When the sender's process began to publish: a restart has a higher epoch. */
  readonly epoch: number;
  readonly trustLevel: TrustLevel;
}
export const Message: { readonly prototype: Message };

export interface DirectMessage extends Received {
  readonly machineId: MachineId;
  /** This machine's clock, Unix milliseconds. */
  readonly receivedAt: number;
  readonly trustDecision: TrustDecision;
}
export const DirectMessage: { readonly prototype: DirectMessage };

// ---------------------------------------------------------------------------- options

export interface CallOptions {
  /** Milliseconds; Infinity waits without limit. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface PublishOptions extends CallOptions {
  /** false: reject with X0X_E_BUSY instead of waiting for room; not with a timeout. Default true. */
  wait?: boolean;
}

export interface ReadOptions {
  /** Milliseconds; default no limit, 0 only looks. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface WalkOptions extends CallOptions {
  /** Hops, 1 to 5; default 2. */
  ttl?: number;
}

export interface SendOptions extends CallOptions {
  /** false: this message may overtake earlier ones. Default true. */
  ordered?: boolean;
  /** When the peer is found disconnected: wait for it until the timeout (default), or fail. */
  onDisconnect?: 'wait' | 'fail';
}

export interface SubscribeOptions {
  /** Retained messages first (default true). */
  replay?: boolean;
  /** How many may wait to be read; default 1,024. */
  maxMessages?: number;
  /** How many bytes may wait to be read; default 8 MiB. */
  maxBytes?: number;
  /** What a full queue drops; default 'drop_oldest'. */
  policy?: 'drop_oldest' | 'drop_newest';
  /** 'throw': readers get a LaggedError where messages were dropped. Default 'skip'. */
  lagged?: 'skip' | 'throw';
  /** Closes the subscription; a waiting reader rejects with AbortError. */
  signal?: AbortSignal;
}

/** A 6,000-byte key file image, a 32-byte seed, public and secret key joined, or both apart. */
export type KeyMaterial = Uint8Array | [publicKey: Uint8Array, secretKey: Uint8Array];

export interface AgentOptions {
  /** A persistent identity: 'alice' is ~/.x0x-alice, 'default' is ~/.x0x. Default: in memory. */
  name?: string;
  /** HOME for `name`. */
  homeDir?: string;
  /** A persistent identity in this folder. */
  identityDir?: string;
  /** Where agents of one machine find each other. */
  runtimeDir?: string;
  /** Default 'x0x.prod'; agents of different networks never connect. */
  networkId?: string;
  /** UDP 'host:port'; default '[::]:0'. */
  bind?: string;
  /** 'host:port' of agents to try first: hints only. */
  bootstrap?: string | string[];
  machineKeyPath?: string;
  agentKeyPath?: string;
  machineKey?: KeyMaterial;
  agentKey?: KeyMaterial;
  /** The file of contacts, of one agent at a time; default contacts.json in the identity folder. */
  contactsPath?: string;
  /** An existing key file of the person behind the agent; never made by the library. */
  userKeyPath?: string;
  userKey?: KeyMaterial;
  /** Milliseconds, as all times here. One try to one address; default 8,000. */
  dialTimeout?: number;
  /** Default timeout of sendDirect; default 10,000. */
  sendTimeout?: number;
  /** Silence after which a connection with unacknowledged data is given up; default 1,000. */
  peerTimeout?: number;
  /** How long a lost session can resume; default 60,000. */
  sessionTtl?: number;
  /** Default grace of close(); default 2,000. */
  closeGrace?: number;
  /** Least trust level whose private messages are delivered; default anyone not blocked. */
  acceptFrom?: TrustLevel;
  /** Private messages that wait to be read; default 1,024. */
  inboxMessages?: number;
  /** Default 32 MiB. */
  inboxBytes?: number;
  /** Calls under way before X0X_E_BUSY; default 4,096. */
  maxOperations?: number;
  /** Connections; default 1,024. */
  maxPeers?: number;
  /** How many of them topics go through; default 6, at most 64. */
  activePeers?: number;
  /** Agents remembered to take the place of one of those; default 30, at most 1,024. */
  passivePeers?: number;
  /**
   * Active peers at one IPv4 address or IPv6 /64, so that one machine with many identities
   * cannot surround this agent; default 3, negative for no bound. Those on this machine do not
   * count.
   */
  maxPeersPerAddress?: number;
  /** To whom this agent says that it is online, by name or as 0, 1, 2; default 'network'. */
  visibility?: Visibility | 0 | 1 | 2;
  /** How often it says so; default 30,000. */
  presenceInterval?: number;
  /** Silence after which another agent is offline at the latest; default 300,000. */
  presenceTimeout?: number;
  /** false: neither register in nor read the local registry. */
  localDiscovery?: boolean;
  /** false: do not carry topics that this agent does not subscribe to. */
  relay?: boolean;
  keepNofile?: boolean;
  /** Process-wide limits of the library's runtime. */
  goMaxProcs?: number;
  goGcPercent?: number;
  goMemoryLimit?: number;
  /** Least level of the 'log' event; default 'info'. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error';
}

// ---------------------------------------------------------------------------- results

export interface Identity {
  readonly agentId: AgentId;
  readonly machineId: MachineId;
  readonly userId: UserId | undefined;
}
export interface PeerInfo {
  agentId: AgentId;
  machineId: MachineId;
  address: string;
  path: string;
  /** Milliseconds. */
  rtt: number;
  dialled: boolean;
  connectedAt: number;
}
export interface TopicLink {
  agentId: AgentId;
  /** Messages are pushed to it; otherwise they are announced, and it asks. */
  eager: boolean;
  /** It is sent this topic at all. */
  carries: boolean;
  /** Somebody behind it, or itself, subscribes. */
  interested: boolean;
  /** Of the nearest such: 0 is the neighbour itself; undefined if not interested. */
  distance: number | undefined;
  /** Milliseconds; undefined if not known yet. */
  rtt: number | undefined;
  /** Messages that it pushed and that were new here. */
  first: number;
  /** Messages that it pushed and that were here already. */
  duplicates: number;
}
/** How one topic flows through an agent; as text, and printed, it is a table for people. */
export interface TopicMesh {
  /** What the network calls it: a hash, as hex. */
  topicId: string;
  /** '' if it is only relayed. */
  name: string;
  priority: TopicPriority;
  /** Of this agent. */
  subscriptions: number;
  /** Messages kept for those who come later. */
  retained: number;
  /** Messages that a neighbour has announced and that are not here yet. */
  missing: number;
  links: TopicLink[];
  toString(): string;
}
/** Hearsay: connecting proves it. */
export interface KnownPeer {
  agentId: AgentId;
  machineId: MachineId;
  addresses: string[];
}
export interface ConnectResult {
  outcome: ConnectOutcome;
  address: string | undefined;
}
export interface Receipt {
  path: string;
  /** Milliseconds. */
  rtt: number;
  sequence: number;
}
export interface Contact {
  agentId: AgentId;
  level: TrustLevel;
  label: string;
  /** Unix milliseconds, as all times here. */
  addedAt: number;
  identityType: IdentityType;
  /** When it was connected last; undefined if never. */
  lastSeen: number | undefined;
  machines: MachineRecord[];
}
/** A machine on which you expect a contact. */
export interface MachineRecord {
  machineId: MachineId;
  label: string;
  /** When you added it. */
  firstSeen: number;
  lastSeen: number | undefined;
  pinned: boolean;
}
export interface CardGroup {
  name: string;
  inviteLink: string;
}
export interface CardStore {
  name: string;
  topic: string;
}
export interface CardOptions {
  displayName?: string;
  /** 'IP:port' where to look for the agent; default where it listens now. */
  addresses?: string[];
  groups?: CardGroup[];
  stores?: CardStore[];
  /** Milliseconds, in effect whole seconds; default 30 days. */
  lifetime?: number;
  /** Shows the person behind the agent to everybody who gets the link; needs humanConsent. */
  includeUser?: boolean;
  humanConsent?: boolean;
}
/** A card that its agent has signed, and what became of it. */
export interface ImportedCard {
  agentId: AgentId;
  /** Its agent was no contact and is one now. */
  added: boolean;
  /** What you think of it now. */
  level: TrustLevel;
  displayName: string;
  machineId: MachineId | undefined;
  /** The person behind the agent, where the card shows it: proven by a certificate. */
  userId: UserId | undefined;
  addresses: string[];
  groups: CardGroup[];
  stores: CardStore[];
  createdAt: number;
  expiresAt: number;
}
/** The word of a person that an agent is theirs, for a time. */
export interface Certificate {
  userId: UserId;
  issuedAt: number;
  expiresAt: number;
  /** Its binary form. */
  bytes: Buffer;
}
export interface PresenceEntry {
  agentId: AgentId;
  machineId: MachineId;
  /** Where it says that it listens: hints, and only such as mean the same to everybody. */
  addresses: string[];
  /** When it was heard of last, by this machine's clock. */
  lastSeen: number | undefined;
  source: PresenceSource;
  online: boolean;
}
export interface SubscriptionInfo {
  topic: string;
  pending: number;
  dropped: number;
  delivered: number;
}

// ---------------------------------------------------------------------------- events

export interface PeerEvent {
  agentId: AgentId;
  machineId: MachineId;
  /** The machine id as hex. */
  peerId: string;
  /** The same, as earlier versions spelt it. */
  peer_id: string;
  timestamp: number;
}
export interface PeerConnectedEvent extends PeerEvent {
  address: string;
  path: string;
}
export interface PeerDisconnectedEvent extends PeerEvent {
  code: string;
  message: string;
}
export interface PeerJoinedEvent extends PeerEvent {
  address: string;
}
export interface SessionResetEvent {
  agentId: AgentId;
  timestamp: number;
}
export interface ContactChangedEvent {
  agentId: AgentId;
  timestamp: number;
}
/** This agent runs on another machine too, which the event names: end one of the two. */
export interface IdentityConflictEvent extends PeerEvent {
  address: string | undefined;
}
export interface AgentOnlineEvent extends PeerEvent {
  address: string | undefined;
}
export interface AgentOfflineEvent extends PeerEvent {}
export interface LaggedEvent {
  source: 'subscription' | 'inbox' | 'events' | 'log';
  topic: string | undefined;
  count: number;
  firstSequence: number;
  lastSequence: number;
}
export interface LogEvent {
  level: number;
  levelName: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  attributes: Record<string, unknown>;
  timestamp: number;
}

export interface AgentEvents {
  /** An authenticated peer is there. */
  connected: PeerConnectedEvent;
  /** It is gone: it said goodbye, or the connection was lost and a redial failed. */
  disconnected: PeerDisconnectedEvent;
  /** A peer is seen for the first time since joining. */
  peerJoined: PeerJoinedEvent;
  /** The peer's process is a new one: its earlier session ended. */
  sessionReset: SessionResetEvent;
  /** A contact was added, changed or removed by a call on this agent. */
  contactChanged: ContactChangedEvent;
  /** The key of this agent is in use on another machine. Once for each machine. */
  identityConflict: IdentityConflictEvent;
  /** An agent that shows itself to this one is online: a neighbour, a contact, or watched. */
  agentOnline: AgentOnlineEvent;
  /** It is not any more: it said goodbye, or fell silent. */
  agentOffline: AgentOfflineEvent;
  /** A copy of each message of the subscribed topics. No back-pressure: new code iterates. */
  message: Message;
  /** Messages, events or logs were dropped because a reader was slow. */
  lagged: LaggedEvent;
  log: LogEvent;
  /** Something went wrong outside any call. Not thrown when nobody listens. */
  error: X0XError;
  closed: undefined;
}

interface Listenable {
  on<E extends keyof AgentEvents>(event: E, callback: (event: AgentEvents[E]) => void): EventListener;
  on(event: string, callback: (event: any) => void): EventListener;
  once<E extends keyof AgentEvents>(event: E, callback: (event: AgentEvents[E]) => void): EventListener;
  once(event: string, callback: (event: any) => void): EventListener;
  /** Removes all listeners of the event, or the first with this callback. */
  off(event: string, callback?: (event: any) => void): this;
}

/** What on() and once() return. */
export class EventListener implements Listenable {
  private constructor();
  /** Removes this listener. Idempotent. */
  stop(): void;
  on: Listenable['on'];
  once: Listenable['once'];
  off(event: string, callback?: (event: any) => void): this;
}
export { EventListener as EventListenerRef };

export class EventEmitter implements Listenable {
  on: Listenable['on'];
  once: Listenable['once'];
  off(event: string, callback?: (event: any) => void): this;
  listenerCount(event: string): number;
  emit(event: string, payload?: unknown): boolean;
  clear(): void;
}

// ---------------------------------------------------------------------------- subscriptions

/**
 * The messages of one topic. Iterate with `for await` (leaving the loop closes it), take
 * batches with drain(), or give a callback to Agent.subscribe.
 */
export interface Subscription extends AsyncIterableIterator<Message>, AsyncDisposable {
  readonly topic: string;
  readonly closed: boolean;
  /** Messages that wait to be read. */
  readonly pending: number;
  /** Messages that were dropped because this reader was slow. */
  readonly lagged: number;
  info(): SubscriptionInfo;
  next(options?: ReadOptions): Promise<IteratorResult<Message, any>>;
  /** Up to `max` messages (1,024), at least one; [] when the subscription has ended. */
  drain(max?: number, options?: ReadOptions): Promise<Message[]>;
  return(value?: any): Promise<IteratorResult<Message, any>>;
  throw(error?: any): Promise<IteratorResult<Message, any>>;
  [Symbol.asyncIterator](): this;
  /** Ends delivery at once. Idempotent. */
  close(): void;
  unsubscribe(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
export const Subscription: { readonly prototype: Subscription };

export interface DirectMessages extends AsyncIterableIterator<DirectMessage>, AsyncDisposable {
  return(value?: any): Promise<IteratorResult<DirectMessage, any>>;
  throw(error?: any): Promise<IteratorResult<DirectMessage, any>>;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}

// ---------------------------------------------------------------------------- agents

/**
 * An agent on the network. Without options it has a fresh identity that lives in memory.
 * The process ends by itself when no call is under way, no reader waits and no subscription
 * with a callback is open.
 */
export class Agent implements AsyncDisposable {
  constructor(options?: AgentOptions);
  static create(options?: AgentOptions): Promise<Agent>;
  static builder(): AgentBuilder;
  /** Folders from X0X_HOME and X0X_RUNTIME_DIR, where set; options win. */
  static fromEnv(options?: AgentOptions): Agent;

  readonly agentId: AgentId;
  readonly machineId: MachineId;
  readonly userId: UserId | undefined;
  readonly closed: boolean;
  identity(): Identity;
  /** The machine id as hex. */
  peerId(): string;

  /** Four words by which two people can compare an id (this agent's) aloud: a check aid, no name. */
  identityWords(id?: AgentIdLike | MachineId | UserId): string;
  /** Of the person behind this agent; undefined if there is none. */
  certificate(): Certificate | undefined;
  /** Signs for a purpose of yours, which context names; payloads are somewhat under 1 MiB. */
  sign(context: string, payload: Payload): Buffer;
  /** @throws X0XError X0X_E_AUTH if that agent has not signed this under this context */
  verify(agentId: AgentIdLike, context: string, payload: Payload, signature: Uint8Array): void;
  /** A signed link 'x0x://agent/…' in which this agent describes itself. */
  card(options?: CardOptions): string;
  /** Verifies a card and makes its agent a contact; who is one already stays as it is. */
  importCard(link: string, trustLevel?: TrustLevel): ImportedCard;

  /** Listens and finds others; returns after one pass, also if alone. Idempotent. */
  joinNetwork(options?: CallOptions): Promise<void>;
  /** Says goodbye and stops listening; joining again is possible. */
  leaveNetwork(options?: CallOptions): Promise<void>;
  isConnected(): boolean;
  isAgentConnected(agentId: AgentIdLike): boolean;
  connectedAgents(): AgentId[];
  peers(): PeerInfo[];
  stats(): Record<string, number>;
  localAddresses(): string[];
  connectToAgent(agentId: AgentIdLike, options?: CallOptions): Promise<ConnectResult>;
  connectToMachine(machineId: MachineIdLike, options?: CallOptions): Promise<ConnectResult>;
  connectToAddress(address: string, options?: CallOptions): Promise<{ agentId: AgentId; machineId: MachineId }>;
  /** A hint where a machine listens. */
  addPeer(machineId: MachineIdLike, addresses: string | string[], agentId?: AgentIdLike): void;

  /** Resolves when the message is signed and on its way; waits while the publish queue is full. */
  publish(topic: string, payload: Payload, options?: PublishOptions): Promise<void>;
  subscribe(topic: string, options?: SubscribeOptions): Subscription;
  subscribe(topic: string, callback: (message: Message) => void, options?: SubscribeOptions): Subscription;

  /** 'high' is sent before all others and dropped last, 'low' the other way round. No peer is told. */
  setTopicPriority(topic: string, priority: TopicPriority): void;
  /** The topics that flow through this agent, each with its neighbours. */
  topicMesh(): TopicMesh[];
  /** What stats() has as 'gossip.name'. */
  gossipStats(): Record<string, number>;
  /** The connected agents that topics go through. */
  neighbors(): AgentId[];
  /** Who may take the place of a lost neighbour. */
  knownPeers(): KnownPeer[];

  /** Resolves when the recipient's library has accepted the message into its application's queue. */
  sendDirect(agentId: AgentIdLike, payload: Payload, options?: SendOptions): Promise<Receipt>;
  recvDirect(options?: ReadOptions): Promise<DirectMessage>;
  /** Up to `max` messages (1,024), at least one. */
  recvDirectMany(max?: number, options?: ReadOptions): Promise<DirectMessage[]>;
  directMessages(options?: { signal?: AbortSignal }): DirectMessages;
  inboxInfo(): { pending: number };

  setTrust(agentId: AgentIdLike, level: TrustLevel): void;
  trust(agentId: AgentIdLike): TrustLevel;
  block(agentId: AgentIdLike): void;
  /** By id. Contacts change by your calls alone, never by what the network says. */
  contacts(): Contact[];
  contact(agentId: AgentIdLike): Contact | undefined;
  /** setTrust() (default 'known') with a name; an empty one leaves what is there. */
  addContact(agentId: AgentIdLike, level?: TrustLevel, label?: string): void;
  /** @throws X0XError X0X_E_NOT_FOUND, as all that follow, where there is no such contact */
  setLabel(agentId: AgentIdLike, label: string): void;
  setIdentityType(agentId: AgentIdLike, identityType: IdentityType): void;
  machines(agentId: AgentIdLike): MachineRecord[];
  /** Notes a machine on which you expect a contact, not pinned. */
  addMachine(agentId: AgentIdLike, machineId: MachineIdLike, label?: string): void;
  removeMachine(agentId: AgentIdLike, machineId: MachineIdLike): void;
  /** From now on the contact is accepted from its pinned machines, and from no other. */
  pinMachine(agentId: AgentIdLike, machineId: MachineIdLike): void;
  unpinMachine(agentId: AgentIdLike, machineId: MachineIdLike): void;
  /** What would become of a message of this agent from this machine. */
  evaluateTrust(agentId: AgentIdLike, machineId?: MachineIdLike): TrustDecision;
  /** Whether it existed. */
  removeContact(agentId: AgentIdLike): boolean;

  /** Who is online, as far as this agent has heard, by id; [] before joining. */
  presence(): PresenceEntry[];
  /** Also of a contact that is offline; undefined if nothing is known. */
  presenceStatus(agentId: AgentIdLike): PresenceEntry | undefined;
  /** Events of an agent that is no contact. @throws X0XError X0X_E_UNREACHABLE before joining */
  watchPresence(agentId: AgentIdLike): void;
  unwatchPresence(agentId: AgentIdLike): void;
  /** Asks friends of friends; resolves with what has come when all answered, or after `timeout` (5,000). */
  presenceFoaf(options?: WalkOptions): Promise<PresenceEntry[]>;
  /** The same for one agent. */
  findPresence(agentId: AgentIdLike, options?: WalkOptions): Promise<PresenceEntry | undefined>;

  on<E extends keyof AgentEvents>(event: E, callback: (event: AgentEvents[E]) => void): EventListener;
  on(event: string, callback: (event: any) => void): EventListener;
  once<E extends keyof AgentEvents>(event: E, callback: (event: AgentEvents[E]) => void): EventListener;
  once(event: string, callback: (event: any) => void): EventListener;
  off(event: string, callback?: (event: any) => void): this;
  listenerCount(event: string): number;

  /** Keeps the process running while this agent is open. */
  ref(): this;
  /** Lets the process end although something of this agent is under way. */
  unref(): this;
  /** Bounded by `grace` ms (default closeGrace). Idempotent. */
  close(options?: { grace?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Used once: with… calls, then build(). */
export class AgentBuilder {
  private constructor();
  withMachineKey(path: string): this;
  withMachineKeypair(keypair: Uint8Array): this;
  withAgentKey(keypair: KeyMaterial): this;
  withAgentKey(publicKey: Uint8Array, secretKey: Uint8Array): this;
  withAgentKeypair(keypair: Uint8Array): this;
  withAgentKeyPath(path: string): this;
  withUserKey(keypair: KeyMaterial): this;
  withUserKey(publicKey: Uint8Array, secretKey: Uint8Array): this;
  withUserKeyPath(path: string): this;
  withContactStorePath(path: string): this;
  withName(name: string): this;
  withIdentityDir(path: string): this;
  withHomeDir(path: string): this;
  withRuntimeDir(path: string): this;
  withNetworkId(id: string): this;
  withBind(address: string): this;
  withBootstrap(addresses: string | string[]): this;
  withVisibility(visibility: Visibility | 0 | 1 | 2): this;
  withPresenceBeaconInterval(seconds: number): this;
  withPresenceOfflineTimeout(seconds: number): this;
  withOptions(options: AgentOptions): this;
  build(): Promise<Agent>;
}

// ---------------------------------------------------------------------------- the library

export interface LibraryInfo {
  version: string;
  build: string;
  abi: number;
  features: number;
}
export function libraryInfo(): LibraryInfo;
/** Open handles in this process (of a kind of x0x.h); 0 when every agent is closed. */
export function liveHandles(kind?: number): number;

export const __platform__: {
  getPlatformId(): string;
  getLibc(): 'gnu' | 'musl' | undefined;
  readonly detected: string;
};
