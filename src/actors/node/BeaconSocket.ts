/**
 * A node's UDP socket, whose datagrams to and from the beacon go by a WebSocket while UDP gets no answers (rendezvous §14.5):
 * to the rest of the node it is one socket.
 *
 * Owns the WebSocket and the state of `BeaconTransport`, in an actor of its own that is told by the socket what came and what
 * was left unanswered. Its mailbox drops what is too much: the next datagram says it again.
 */
import { Clock, Deferred, Effect, Exit, Option, Result, Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as StateMachineActor from "../../core/actor/StateMachineActor.ts"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { Datagram, UdpSocket } from "../../core/net/UdpEndpoint.ts"
import type { WebSocketClient, WebSocketTarget } from "../../core/net/WebSocketClient.ts"
import type { WebSocketMessage, WebSocketPeer } from "../../core/net/WebSocketPeer.ts"
import * as BeaconTransport from "../../nat/BeaconTransport.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import * as CompatMessage from "../../protocol/wire/CompatMessage.ts"
import type { BeaconRoute } from "./Node.ts"

/** Where the WebSocket leads, and who opens it. */
export interface Options {
  readonly socket: UdpSocket
  readonly beacon: Endpoint.Endpoint
  readonly client: WebSocketClient["Service"]
  readonly target: WebSocketTarget
  readonly identity: SigningKey
  /** 0 until the registry has given an id. */
  readonly node: () => NodeId
  /** The way has changed, so that the mapping has. */
  readonly changed: () => void
}

/** The socket in place of `options.socket`. */
export interface BeaconSocket extends UdpSocket {
  readonly route: () => BeaconRoute
  /** Waits until the beacon has answered by UDP, or a WebSocket carries. */
  readonly settled: Effect.Effect<void>
  /** The registry has given an id, which a WebSocket needs. */
  readonly named: () => void
}

/** Starts it in the surrounding scope, whose end closes the WebSocket. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<BeaconSocket, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const bridge = new Bridge(options, () => MonotonicTime.nowMsUnsafe(clock), yield* Effect.scope)
  const ref = yield* StateMachineActor.spawn({
    name: "beacon",
    mailboxCapacity: MAILBOX_CAPACITY,
    stateMachine: BeaconTransport.make(),
    initial: () => BeaconTransport.initial,
    timerFired: BeaconTransport.Input.TimerFired(),
    perform: (output) => bridge.perform(output),
    restart: { intensity: 3, periodMs: 60_000 }
  })
  bridge.tell = (input) => void ref.tellUnsafe(input)
  const { local, other, counters, mtuTowards } = options.socket
  return {
    local,
    other,
    counters,
    mtuTowards,
    onBatch: (receive) => bridge.onBatch(receive),
    send: (bytes, to) => bridge.send(bytes, to),
    route: () => bridge.route,
    settled: Deferred.await(bridge.isSettled),
    named: () => Deferred.doneUnsafe(bridge.isNamed, Exit.void)
  }
})

interface Open {
  readonly peer: WebSocketPeer
  readonly scope: Scope.Closeable
  /** The beacon goes on at an address that the WebSocket names. */
  readonly moves: boolean
}

/** The hot half: what happens per datagram waits for nobody. */
class Bridge {
  tell: (input: BeaconTransport.Input) => void = () => {}
  readonly isNamed = Deferred.makeUnsafe<void>()
  readonly isSettled = Deferred.makeUnsafe<void>()
  readonly #options: Options
  readonly #nowMs: () => number
  readonly #scope: Scope.Scope
  #receive: (batch: ReadonlyArray<Datagram>) => void = () => {}
  #open: Open | undefined
  /** Counts attempts, so that a late one knows that it is. */
  #attempt = 0
  #by: "udp" | "websocket" = "udp"
  #hasHeard = false
  #detail = ""
  /** Since when what carries has answered nothing; since when that was told. */
  #unansweredSinceMs = Number.POSITIVE_INFINITY
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(options: Options, nowMs: () => number, scope: Scope.Scope) {
    this.#options = options
    this.#nowMs = nowMs
    this.#scope = scope
  }

  get route(): BeaconRoute {
    return { by: this.#by, url: this.#options.target.url, detail: this.#detail }
  }

  onBatch(receive: (batch: ReadonlyArray<Datagram>) => void): void {
    this.#receive = receive
    this.#options.socket.onBatch((batch) => {
      for (const { bytes, from } of batch) if (this.#isBeacon(from)) this.#heard(bytes)
      receive(batch)
    })
  }

  send(bytes: Bytes.Pieces, to: Endpoint.Endpoint): void {
    if (!this.#isBeacon(to)) return this.#options.socket.send(bytes, to)
    const nowMs = this.#nowMs()
    this.#unansweredSinceMs = Math.min(this.#unansweredSinceMs, nowMs)
    const silentMs = nowMs - this.#unansweredSinceMs
    if (this.#by === "udp") {
      this.#options.socket.send(bytes, to)
      const doubtMs = this.#hasHeard ? DOUBT_MS : NEW_DOUBT_MS
      if (silentMs >= doubtMs && nowMs - this.#toldAtMs >= doubtMs) {
        this.#toldAtMs = nowMs
        this.tell(BeaconTransport.Input.Unanswered({ isNew: !this.#hasHeard }))
      }
    } else if (silentMs >= DEAD_MS) {
      this.#open?.peer.destroy()
    } else {
      this.#write(Bytes.join(bytes))
      if (silentMs >= REFRESH_MS && nowMs - this.#toldAtMs >= REFRESH_MS) {
        this.#toldAtMs = nowMs
        this.#write(BeaconMessage.encodeDiscover(this.#options.node()))
      }
    }
  }

  perform(output: BeaconTransport.Output): Effect.Effect<void> {
    const { beacon, node, socket } = this.#options
    switch (output._tag) {
      case "Ask":
        return Effect.sync(() => socket.send(BeaconMessage.encodeDiscover(NodeId(0)), beacon))
      case "Announce":
        return Effect.sync(() => socket.send(BeaconMessage.encodeDiscover(node()), beacon))
      case "Open":
        return this.#start
      case "Close":
        return Effect.suspend(() => this.#stop())
      case "Carry":
        return Effect.sync(() => this.#carry(output.by))
      case "Refresh":
        return Effect.sync(() => this.#write(BeaconMessage.encodeDiscover(node())))
      case "Move":
        return Effect.sync(() => this.#move(output.endpoint))
    }
  }

  #isBeacon(endpoint: Endpoint.Endpoint): boolean {
    return Endpoint.equals(endpoint, this.#options.beacon)
  }

  /** By UDP. */
  #heard(bytes: Uint8Array): void {
    if (this.#by === "udp") this.#answered()
    this.#hasHeard = true
    Deferred.doneUnsafe(this.isSettled, Exit.void)
    const message = BeaconMessage.isDiscoverReply(bytes) ? BeaconMessage.decode(bytes) : undefined
    if (message !== undefined && Result.isSuccess(message) && message.success._tag === "DiscoverReply")
      this.tell(BeaconTransport.Input.Seen({ endpoint: message.success.endpoint }))
    else if (this.#toldAtMs > Number.NEGATIVE_INFINITY) this.tell(BeaconTransport.Input.Heard())
    if (this.#by === "udp") this.#toldAtMs = Number.NEGATIVE_INFINITY
  }

  #answered(): void {
    this.#unansweredSinceMs = Number.POSITIVE_INFINITY
  }

  #carry(by: "udp" | "websocket"): void {
    this.#by = by
    this.#answered()
    this.#toldAtMs = Number.NEGATIVE_INFINITY
    this.#options.changed()
    const announcement = BeaconMessage.encodeDiscover(this.#options.node())
    if (by === "websocket") {
      this.#write(announcement)
      Deferred.doneUnsafe(this.isSettled, Exit.void)
    } else this.#options.socket.send(announcement, this.#options.beacon)
  }

  #write(bytes: Uint8Array): void {
    const peer = this.#open?.peer
    const { counters } = this.#options.socket
    if (peer === undefined || peer.bufferedBytes() > BUFFERED_BYTES_MAX) {
      counters.sendErrors++
      return
    }
    counters.sentDatagrams++
    counters.sentBytes += bytes.length
    peer.send(bytes)
  }

  #move(endpoint: Endpoint.Endpoint): void {
    // Another beacon believes UDP after two announcements; the second follows when the way has changed.
    if (this.#open?.moves !== true) return this.tell(BeaconTransport.Input.Moved({ isDone: true }))
    this.#open.peer.send(CompatMessage.encode(CompatMessage.CompatMessage.Moving({ endpoint })))
  }

  /** In a fiber of its own, because it takes its time. */
  get #start(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.asVoid(Effect.forkIn(this.#connect(++this.#attempt), this.#scope, { startImmediately: true }))
    )
  }

  #connect(attempt: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* Deferred.await(this.isNamed)
      if (attempt !== this.#attempt) return
      const scope = yield* Scope.fork(this.#scope)
      const exit = yield* Effect.exit(Scope.provide(open(this.#options), scope))
      if (attempt === this.#attempt && Exit.isSuccess(exit)) return this.#opened({ ...exit.value, scope })
      yield* Scope.close(scope, Exit.void)
      if (attempt !== this.#attempt) return
      this.#detail = Option.getOrElse(Exit.findErrorOption(exit), () => "interrupted")
      this.tell(BeaconTransport.Input.Lost())
    })
  }

  #opened(opened: Open): void {
    this.#open = opened
    this.#detail = ""
    opened.peer.onBatch((batch) => this.#arrived(batch))
    opened.peer.onClosed((detail) => {
      if (this.#open !== opened) return
      this.#open = undefined
      this.#detail = detail
      this.tell(BeaconTransport.Input.Lost())
    })
    this.tell(BeaconTransport.Input.Opened())
  }

  #stop(): Effect.Effect<void> {
    // One that is under way finds that it comes too late.
    this.#attempt++
    const before = this.#open
    this.#open = undefined
    return before === undefined ? Effect.void : Scope.close(before.scope, Exit.void)
  }

  #arrived(batch: ReadonlyArray<WebSocketMessage>): void {
    const { beacon, socket } = this.#options
    const datagrams: Array<Datagram> = []
    if (this.#by === "websocket") this.#answered()
    for (const message of batch) {
      if (typeof message === "string") this.#said(message)
      else {
        socket.counters.receivedDatagrams++
        socket.counters.receivedBytes += message.length
        datagrams.push({ bytes: withoutPort(message), from: beacon })
      }
    }
    if (datagrams.length > 0) this.#receive(datagrams)
  }

  #said(text: string): void {
    const message = CompatMessage.decode(text)
    if (Result.isSuccess(message) && message.success._tag === "Moved")
      this.tell(BeaconTransport.Input.Moved({ isDone: message.success.isDone }))
  }
}

/** A WebSocket that the beacon has taken; fails with words for people. */
const open = Effect.fnUntraced(function* ({
  client,
  identity,
  node,
  target
}: Options): Effect.fn.Return<Omit<Open, "scope">, string, Scope.Scope> {
  const peer = yield* Effect.mapError(
    client.connect(target, { timeoutMs: CONNECT_MS, messageBytesMax: CompatMessage.MESSAGE_BYTES_MAX }),
    ({ detail }) => detail
  )
  const proved = Effect.callback<boolean, string>((resume) => {
    peer.onClosed((detail) => resume(Effect.fail(`the beacon refuses: ${detail}`)))
    peer.onBatch((batch) => {
      for (const text of batch) {
        const message = typeof text === "string" ? CompatMessage.decode(text) : undefined
        if (message === undefined || Result.isFailure(message)) continue
        if (message.success._tag === "Accepted") return resume(Effect.succeed(message.success.moves))
        if (message.success._tag !== "Challenge") continue
        const { nonce, unixSeconds } = message.success
        const signature = identity.sign(Bytes.fromUtf8(CompatMessage.signedText(node(), unixSeconds, nonce)))
        const reply = { node: node(), publicKey: identity.publicKey, signature }
        peer.send(CompatMessage.encode(CompatMessage.CompatMessage.Reply(reply)))
      }
    })
  })
  const moves = yield* Effect.timeoutOrElse(proved, {
    duration: CONNECT_MS,
    orElse: () => Effect.fail("the beacon does not finish the proof")
  })
  return { peer, moves }
})

/** A WebSocket has no UDP port: what the beacon sees of it is nowhere to be reached at. */
const withoutPort = (message: Uint8Array): Uint8Array => {
  if (!BeaconMessage.isDiscoverReply(message)) return message
  const copy = Bytes.copy(message)
  copy.fill(0, Math.max(0, copy.length - PORT_BYTES))
  return copy
}

const PORT_BYTES = 2
const MAILBOX_CAPACITY = 64
/** For the WebSocket, and for the proof. */
const CONNECT_MS = 10_000
/** Of UDP, before anything is asked: two seconds into silence. */
const DOUBT_MS = 2_000
/** The same before anything was ever heard: at the second question. */
const NEW_DOUBT_MS = 400
/** Of a WebSocket that answers nothing: before it is asked, and before it is given up. */
const REFRESH_MS = 4_000
const DEAD_MS = 12_000
/** As at the beacon: more than this is lost, never kept. */
const BUFFERED_BYTES_MAX = 262_144
