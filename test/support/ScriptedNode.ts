/**
 * The services behind the IPC socket, each scripted: what a node with two peers would answer, and switches for what a
 * test needs. Connections are queues whose other end the test holds.
 */
import { Cause, Deferred, Effect, Layer, Queue, type Scope } from "effect"
import {
  type Connection,
  ConnectionReset,
  type DatagramReceived,
  DialError,
  Node,
  type NodeStatus,
  PortInUse
} from "../../src/actors/node/Node.ts"
import { RegistryClient, RegistryError } from "../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import { Trust, TrustError } from "../../src/actors/trust/Trust.ts"
import type { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import { NO_CARDS, noKeyChains } from "./NoCards.ts"
import { NO_CHAINS } from "./NoChains.ts"

/** The far end of a stream of the scripted node. */
export interface Far {
  readonly connection: Connection
  /** What the near end has written, in order. */
  readonly written: Array<Uint8Array>
  /** Sends one segment to the near end. */
  readonly say: (segment: Uint8Array) => void
  /** Ends the stream towards the near end. */
  readonly finish: () => void
  /** Resets it towards the near end. */
  readonly fail: (reason: ConnectionReset["reason"]) => void
  /** Writes of the near end fail from now on. */
  isReset: boolean
  /** Writes of the near end wait while this is set. */
  stalled: Deferred.Deferred<void> | undefined
  /** The near end writes no more. */
  isEnded: boolean
  /** What `setNoDelay` said last. */
  isPrompt: boolean
  isClosed: boolean
}

/** Everything a test can look at and change. */
export class ScriptedNode {
  readonly streams = new Map<number, Far>()
  readonly listeners = new Map<number, Queue.Queue<Connection, Cause.Done>>()
  readonly datagrams = new Set<Queue.Queue<DatagramReceived>>()
  /** `from` is there when a held port is. */
  readonly sent: Array<{
    readonly to: string
    readonly port: number
    readonly payload: Uint8Array
    readonly from?: number
  }> = []
  /** Datagram ports that are held. */
  readonly held = new Map<number, Queue.Queue<DatagramReceived>>()
  readonly dropped: Array<Address.NodeId> = []
  readonly closedById: Array<number> = []
  readonly accepted: Array<{ readonly node: number; readonly name: string | undefined }> = []
  readonly approvals: Array<{ readonly node: number; readonly fingerprint: string | undefined }> = []
  /** Dials to a node wait for its gate, if it has one. */
  readonly gates = new Map<number, Deferred.Deferred<void>>()
  dialError: DialError["reason"] | undefined
  peersCount = 1
  #lastId = 0

  /** A new stream; the near end belongs to the code under test. */
  open(localPort: number, remoteNode: number, remotePort: number): Far {
    const id = ++this.#lastId
    const arrived = Effect.runSync(Queue.unbounded<Uint8Array, ConnectionReset | Cause.Done>())
    const written: Array<Uint8Array> = []
    const far: Far = {
      written,
      isReset: false,
      stalled: undefined,
      isEnded: false,
      isPrompt: true,
      isClosed: false,
      say: (segment) => void Queue.offerUnsafe(arrived, segment),
      finish: () => void Queue.endUnsafe(arrived),
      fail: (reason) => void Queue.failCauseUnsafe(arrived, Cause.fail(new ConnectionReset({ reason }))),
      connection: {
        id,
        localPort: Address.Port(localPort),
        remote: Address.make(0, remoteNode),
        remotePort: Address.Port(remotePort),
        read: Queue.take(arrived),
        write: (bytes) =>
          Effect.gen(function* () {
            if (far.stalled !== undefined) yield* Deferred.await(far.stalled)
            if (far.isReset) return yield* new ConnectionReset({ reason: "PeerReset" })
            written.push(bytes.slice())
          }),
        setNoDelay: (isOn) =>
          Effect.sync(() => {
            far.isPrompt = isOn
          }),
        end: Effect.sync(() => {
          far.isEnded = true
        }),
        close: Effect.sync(() => {
          far.isClosed = true
          Queue.endUnsafe(arrived)
        }),
        reset: Effect.sync(() => {
          far.isClosed = true
        }),
        closed: Effect.void
      }
    }
    this.streams.set(id, far)
    return far
  }

  /** A stream from `remoteNode` to a bound port. */
  arrive(port: number, remoteNode: number): Far {
    const far = this.open(port, remoteNode, 50000)
    Queue.offerUnsafe(this.listeners.get(port)!, far.connection)
    return far
  }

  readonly node: Node["Service"] = {
    address: Effect.succeed(OWN),
    status: Effect.sync(() => this.#status()),
    nat: Effect.succeed({ report: undefined, lifetime: undefined }),
    peer: () => Effect.succeed(undefined),
    dial: (target, port) => this.#dial(target, port),
    listen: (port) => this.#listen(port),
    sendDatagram: (target, port, payload) =>
      Effect.sync(() => void this.sent.push({ to: Address.format(target), port, payload: payload.slice() })),
    datagrams: (capacity) =>
      Effect.acquireRelease(
        Effect.tap(Queue.dropping<DatagramReceived>(capacity), (queue) => Effect.sync(() => this.datagrams.add(queue))),
        (queue) => Effect.sync(() => this.datagrams.delete(queue))
      ),
    holdDatagrams: (wanted, capacity) =>
      Effect.gen({ self: this }, function* () {
        const port = wanted ?? Address.Port(50_000)
        if (this.held.has(port)) return yield* new PortInUse({ port })
        const received = yield* Effect.acquireRelease(
          Effect.tap(Queue.dropping<DatagramReceived>(capacity), (queue) =>
            Effect.sync(() => this.held.set(port, queue))
          ),
          () => Effect.sync(() => this.held.delete(port))
        )
        const send = (target: Address.Address, to: Address.Port, payload: Uint8Array) =>
          Effect.sync(
            () => void this.sent.push({ to: Address.format(target), port: to, payload: payload.slice(), from: port })
          )
        return { port, received, send }
      }),
    ping: () => Effect.succeed(1.2345),
    closeConnection: (id) =>
      Effect.suspend(() => {
        this.closedById.push(id)
        return this.streams.get(id)?.connection.close ?? Effect.void
      }),
    dropPeer: (peer) => Effect.sync(() => void this.dropped.push(peer)),
    setHostname: () => Effect.void,
    setPublic: () => Effect.void
  }

  /** Every service, with the answers of the vectors' node `alpha`. */
  readonly layer: Layer.Layer<Node | RegistryClient | Trust | PeerKeys | Crypto> = Layer.mergeAll(
    Layer.succeed(Node, this.node),
    Layer.succeed(RegistryClient, registry),
    Layer.succeed(Trust, this.#trust()),
    Layer.succeed(PeerKeys, this.#keys()),
    NativeCrypto.layer
  )

  #dial(target: Address.Address, port: number): Effect.Effect<Connection, DialError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.gen({ self: this }, function* () {
        const gate = this.gates.get(target.node)
        if (gate !== undefined) yield* Deferred.await(gate)
        const fail = (reason: DialError["reason"], detail: string) =>
          new DialError({ reason, target: Address.format(target), detail })
        if (this.dialError !== undefined) return yield* fail(this.dialError, "scripted")
        if (target.node === 999) return yield* fail("NotFound", "registry: request failed")
        if (port === 12345) return yield* fail("Refused", "")
        return this.open(49152, target.node, port).connection
      }),
      (connection) => connection.close,
      { interruptible: true }
    )
  }

  #listen(
    port: number
  ): Effect.Effect<{ port: Address.Port; accept: Effect.Effect<Connection, Cause.Done> }, PortInUse, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.gen({ self: this }, function* () {
        if (port === 7 || port === 444 || this.listeners.has(port)) return yield* new PortInUse({ port })
        const queue = yield* Queue.unbounded<Connection, Cause.Done>()
        this.listeners.set(port, queue)
        return { port: Address.Port(port), accept: Queue.take(queue) }
      }),
      () => Effect.sync(() => this.listeners.delete(port))
    )
  }

  #trust(): Trust["Service"] {
    return {
      request: (node) =>
        node === 3
          ? Effect.fail(new TrustError({ reason: "RelayFailed", node, detail: "request failed" }))
          : Effect.succeed("sent"),
      approve: (node, fingerprint) =>
        Effect.sync(() => {
          this.approvals.push({ node, fingerprint })
          return { known: node === 2 }
        }),
      reject: (node) => Effect.succeed({ known: node === 2 }),
      revoke: (node) =>
        node === 2
          ? Effect.void
          : Effect.fail(new TrustError({ reason: "NotTrusted", node, detail: `node ${node} was not trusted` })),
      pending: Effect.succeed([]),
      trusted: Effect.succeed([
        { node: Address.NodeId(2), publicKey: KEY_B, approvedAtSeconds: 1795196989, mutual: true, network: 0 }
      ]),
      standing: () => Effect.succeed({ standing: "none" as const, refusal: undefined }),
      admissions: NO_ADMISSIONS,
      poll: Effect.void
    }
  }

  #keys(): PeerKeys["Service"] {
    return {
      pinned: (node) => (node === 2 ? KEY_B : undefined),
      names: () => new Map(),
      guess: () => undefined,
      isTrusted: (node) => node === 2,
      chains: NO_CHAINS,
      pinNode: () => Effect.void,
      pinName: () => Effect.void,
      acceptKey: (node, _key, name) => Effect.sync(() => void this.accepted.push({ node, name })),
      isLaterOnly: () => false,
      laterOpened: () => {},
      setTrusted: () => {}
    }
  }

  #status(): NodeStatus {
    return {
      address: OWN,
      publicKey: KEY_A,
      hostname: "alpha",
      owner: "a@example.org",
      isPublic: false,
      encrypt: true,
      identityPersisted: true,
      startedAtMs: 0,
      local: { host: "127.0.0.1", port: 5 },
      mapped: undefined,
      sentBytes: 0,
      receivedBytes: 0,
      sentDatagrams: 0,
      receivedDatagrams: 0,
      boundPorts: [Address.Port(7), Address.Port(444)],
      refusedKeys: [{ node: Address.NodeId(9), reason: "KeyChanged", count: 3 }],
      peers: Array.from({ length: this.peersCount }, (_, index) => ({
        node: Address.NodeId(2 + index),
        endpoint: { host: "127.0.0.1", port: 58726 },
        path: "relay" as const,
        encrypted: true,
        authenticated: true,
        rttMs: 2.5,
        publicKey: KEY_B
      })),
      connections: []
    }
  }
}

const registry: RegistryClient["Service"] = {
  register: () => Effect.die("not asked"),
  heartbeat: Effect.die("not asked"),
  deregister: Effect.succeed({ type: "deregister_ok" }),
  lookup: (node) =>
    node === 2
      ? Effect.succeed({
          node,
          address: Address.make(0, node),
          publicKey: KEY_B,
          hostname: "bravo",
          isPublic: true,
          endpoint: undefined,
          raw: { node_id: node, type: "lookup_ok" }
        })
      : refused("lookup"),
  resolve: () => refused("resolve"),
  resolveHostname: (hostname) =>
    hostname === "bravo"
      ? Effect.succeed({
          node: Address.NodeId(2),
          address: Address.make(0, 2),
          isPublic: true,
          hostname,
          raw: { address: "0:0000.0000.0002", hostname, node_id: 2, public: true, type: "resolve_hostname_ok" }
        })
      : refused("resolve_hostname"),
  setHostname: (hostname) =>
    /^[a-z]*$/.test(hostname)
      ? Effect.succeed({ hostname, node_id: 1, type: "set_hostname_ok" })
      : refused("set_hostname"),
  setVisibility: (isPublic) =>
    Effect.succeed({ node_id: 1, type: "set_visibility_ok", visibility: isPublic ? "public" : "private" }),
  setTags: (tags) => Effect.succeed({ node_id: 1, tags: tags.length === 0 ? null : tags, type: "set_tags_ok" }),
  score: () => Effect.succeed(0),
  addScore: () => Effect.void,
  setTaskExec: (enabled) => Effect.succeed({ node_id: 1, task_exec: enabled, type: "set_task_exec_ok" }),
  reportTrust: () => Effect.void,
  revokeTrust: () => Effect.void,
  requestHandshake: () => Effect.void,
  respondHandshake: () => Effect.void,
  pollHandshakes: Effect.succeed({ requests: [], responses: [] }),
  publishKeyChain: noKeyChains,
  cards: NO_CARDS
}

const refused = (operation: string) =>
  Effect.fail(new RegistryError({ reason: "Refused", operation, detail: "request failed" }))

/** The scripted node's own address. */
export const OWN = Address.make(0, 1)
/** Keys of the vectors' nodes `alpha` and `bravo`. */
export const KEY_A = Uint8Array.from(Buffer.from("2azF1KIFipTicaYJu4YFOJQ2PVhSpQOhpVNUgsWYpzk=", "base64"))
/** Behind node 2. */
export const KEY_B = Uint8Array.from(Buffer.from("vDSqx0hoCHhvd7ZKn7cTn173+fOPMzIW5Lp8RW5t4m0=", "base64"))

const NOT_HERE = Effect.die("not a part of these tests")
const NO_ADMISSIONS: Trust["Service"]["admissions"] = {
  invite: () => NOT_HERE,
  invitations: Effect.succeed([]),
  revokeInvitation: () => NOT_HERE,
  redeem: () => NOT_HERE,
  listKey: () => NOT_HERE,
  unlistKey: () => NOT_HERE,
  listedKeys: Effect.succeed([]),
  joinNetwork: () => NOT_HERE,
  leaveNetwork: () => NOT_HERE,
  networks: Effect.succeed([]),
  reviseNetwork: () => NOT_HERE,
  barMember: () => NOT_HERE
}
