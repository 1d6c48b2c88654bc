/**
 * Nodes joined in memory, each with the `Node` face: a dial makes a stream of queues, and both ends then have a tunnel
 * opened by the other's key. Scripted: who is offline, and whose tunnels show another key.
 */
import { type Cause, Effect, Latch, Queue, type Scope } from "effect"
import {
  type Connection,
  DialError,
  type Listener,
  type Node,
  type NodeStatus,
  type PeerStatus,
  PortInUse
} from "../../src/actors/node/Node.ts"
import * as Address from "../../src/protocol/wire/Address.ts"

/** One node of the switchboard, with what was asked of it. */
export interface MemoryNode {
  readonly id: Address.NodeId
  readonly publicKey: Uint8Array
  readonly service: Node["Service"]
  readonly dropped: Array<Address.NodeId>
  /** Keys that opened the tunnels of this node, by peer. */
  readonly tunnels: Map<Address.NodeId, Uint8Array | undefined>
  /** Cannot be dialled, and cannot dial. */
  offline: boolean
  /** Stops before the first byte of its next streams is written. */
  dials: number
}

/** All nodes that can reach each other. */
export class MemoryNodes {
  readonly #nodes = new Map<Address.NodeId, MemoryNode>()
  readonly #listeners = new Map<string, Queue.Queue<Connection, Cause.Done>>()
  #connectionId = 0

  /** A node with this id whose tunnels show this key. */
  add(id: number, publicKey: Uint8Array): MemoryNode {
    const node: MemoryNode = {
      id: Address.NodeId(id),
      publicKey,
      service: this.#service(Address.NodeId(id)),
      dropped: [],
      tunnels: new Map(),
      offline: false,
      dials: 0
    }
    this.#nodes.set(node.id, node)
    return node
  }

  #service(id: Address.NodeId): Node["Service"] {
    const self = () => this.#nodes.get(id)!
    return {
      address: Effect.succeed(Address.make(0, id)),
      status: Effect.sync(() => status(self())),
      nat: Effect.succeed({ report: undefined, lifetime: undefined }),
      peer: () => Effect.succeed(undefined),
      dial: (target, port) => Effect.suspend(() => this.#dial(self(), target, port)),
      listen: (port) => this.#listen(id, port),
      sendDatagram: () => Effect.void,
      datagrams: () => Effect.die("no datagrams here"),
      holdDatagrams: () => Effect.die("no datagrams here"),
      ping: () => Effect.die("no pings here"),
      closeConnection: () => Effect.void,
      dropPeer: (peer) =>
        Effect.sync(() => {
          self().dropped.push(peer)
          self().tunnels.delete(peer)
        }),
      setHostname: () => Effect.void,
      setPublic: () => Effect.void
    }
  }

  #listen(id: Address.NodeId, port: Address.Port): Effect.Effect<Listener, PortInUse, Scope.Scope> {
    const name = `${id}:${port}`
    return Effect.acquireRelease(
      Effect.suspend(() =>
        this.#listeners.has(name) ? new PortInUse({ port }) : Queue.unbounded<Connection, Cause.Done>()
      ),
      (queue) =>
        Effect.andThen(
          Effect.sync(() => this.#listeners.delete(name)),
          Queue.end(queue)
        )
    ).pipe(
      Effect.tap((queue) => Effect.sync(() => this.#listeners.set(name, queue))),
      Effect.map((queue) => ({ port, accept: Queue.take(queue) }))
    )
  }

  #dial(
    from: MemoryNode,
    target: Address.Address,
    port: Address.Port
  ): Effect.Effect<Connection, DialError, Scope.Scope> {
    from.dials++
    const to = this.#nodes.get(target.node)
    const queue = this.#listeners.get(`${target.node}:${port}`)
    if (to === undefined || to.offline || from.offline || queue === undefined) {
      return new DialError({ reason: "Timeout", target: Address.format(target), detail: "it does not answer" })
    }
    from.tunnels.set(to.id, to.publicKey)
    to.tunnels.set(from.id, from.publicKey)
    return Effect.acquireRelease(
      Effect.gen({ self: this }, function* () {
        const [near, far] = yield* pair(from.id, to.id, port, () => ++this.#connectionId)
        yield* Queue.offer(queue, far)
        return near
      }),
      (connection) => connection.close
    )
  }
}

/** Two ends of one stream; a segment is one write. */
export const pair = Effect.fnUntraced(function* (
  dialler: Address.NodeId,
  accepter: Address.NodeId,
  port: Address.Port,
  nextId: () => number = () => 1,
  capacity = 64
) {
  const [there, back] = [
    yield* Queue.bounded<Uint8Array, Cause.Done>(capacity),
    yield* Queue.bounded<Uint8Array, Cause.Done>(capacity)
  ]
  const closed = Latch.makeUnsafe(false)
  const ephemeral = Address.Port(50_000)
  const end = (
    remote: Address.NodeId,
    [localPort, remotePort]: readonly [Address.Port, Address.Port],
    incoming: typeof there,
    outgoing: typeof there
  ): Connection => {
    const close = Effect.andThen(
      Queue.end(outgoing),
      Effect.sync(() => {
        if (isEnded(incoming)) closed.openUnsafe()
      })
    )
    return {
      id: nextId(),
      localPort,
      remote: Address.make(0, remote),
      remotePort,
      read: Queue.take(incoming),
      write: (bytes) => Effect.asVoid(Queue.offer(outgoing, bytes)),
      setNoDelay: () => Effect.void,
      end: close,
      close,
      reset: Effect.andThen(
        Effect.andThen(Queue.end(outgoing), Queue.end(incoming)),
        Effect.sync(() => closed.openUnsafe())
      ),
      closed: closed.await
    }
  }
  return [end(accepter, [ephemeral, port], back, there), end(dialler, [port, ephemeral], there, back)] as const
})

const isEnded = (queue: Queue.Queue<Uint8Array, Cause.Done>): boolean => queue.state._tag !== "Open"

const status = (node: MemoryNode): NodeStatus => ({
  address: Address.make(0, node.id),
  publicKey: node.publicKey,
  hostname: "",
  owner: "",
  isPublic: false,
  encrypt: true,
  identityPersisted: true,
  startedAtMs: 0,
  local: { host: "127.0.0.1", port: 1 },
  mapped: undefined,
  sentBytes: 0,
  receivedBytes: 0,
  sentDatagrams: 0,
  receivedDatagrams: 0,
  boundPorts: [],
  refusedKeys: [],
  connections: [],
  peers: [...node.tunnels].map(
    ([peer, publicKey]): PeerStatus => ({
      node: peer,
      endpoint: undefined,
      path: "direct",
      encrypted: true,
      authenticated: publicKey !== undefined,
      rttMs: undefined,
      publicKey
    })
  )
})
