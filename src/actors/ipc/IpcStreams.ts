/**
 * The ports and connections of one local client (node §1.3 rules 3–7, §1.5, §1.6). Each connection has two fibers: one
 * moves received segments to the client and lives as long as the client; one moves the client's bytes to the stream and
 * lives until they are delivered.
 */
import { Cause, Deferred, Duration, Effect, Exit, type Fiber, Latch, Scope } from "effect"
import * as Json from "../../core/data/Json.ts"
import type { Address, Port } from "../../protocol/wire/Address.ts"
import * as IpcReply from "../../protocol/wire/IpcReply.ts"
import type { Connection, ConnectionReset, DirectStream, Listener, Node } from "../node/Node.ts"
import * as DialErrorText from "./DialErrorText.ts"
import { RESET_EVENT } from "./IpcErrorText.ts"
import { IpcPipe } from "./IpcPipe.ts"
import type { Outbox } from "./Outbox.ts"
import type { ReplyOrder, Slot } from "./ReplyOrder.ts"

/** What the streams of a client stand on. */
export interface Options {
  readonly node: Node["Service"]
  readonly outbox: Outbox
  readonly replies: ReplyOrder
  /** The client's life: ports and receiving end with it. */
  readonly scope: Scope.Scope
  /** The server's life: sending ends with it at the latest. */
  readonly lingering: Scope.Scope
}

/** The streams of one client. Mutable, owned by its `IpcClientActor`. */
export interface IpcStreams extends Options {
  readonly entries: Map<number, Entry>
  /** What is bound, and what ends with it. */
  readonly ports: Map<Port, Scope.Closeable>
  dialling: number
  /** Fails when the dials under way are given up. */
  cancelled: Deferred.Deferred<never, string>
  /** The client knows that a stream has two ends, and wants to hear why one was reset; clients of the reference do not. */
  knowsEnds: boolean
}

interface Entry {
  readonly pipe: IpcPipe
  readonly receiving: Fiber.Fiber<void>
}

/** No streams yet. */
export const make = (options: Options): IpcStreams => ({
  ...options,
  entries: new Map(),
  ports: new Map(),
  dialling: 0,
  cancelled: Deferred.makeUnsafe(),
  knowsEnds: false
})

/** What a client dials, and how it is told. */
export interface Dial<R> {
  /** Where to, or the text of the refusal. */
  readonly address: Effect.Effect<Address, string, R>
  readonly port: Port
  readonly timeoutMs?: number
  readonly dialled: (connection: Connection) => IpcReply.IpcReply
  /** Done when nobody answered at the address. */
  readonly unanswered?: Effect.Effect<void, never, R>
}

/** Dials beside the socket; the reply keeps its place. */
export const dial = <R>(self: IpcStreams, wanted: Dial<R>, slot: Slot): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    if (self.entries.size + self.dialling >= CONNECTIONS_MAX)
      return refuse(self, slot, `dial: per-client connection quota (${CONNECTIONS_MAX}) reached`)
    self.dialling++
    const settled = Effect.sync(() => {
      self.dialling--
    })
    const dialling = Effect.ensuring(dialNow(self, wanted, slot), settled)
    return Effect.asVoid(Effect.forkIn(dialling, self.scope, { startImmediately: true }))
  })

/** Takes bytes for a stream of this client, or gives what to wait for; for any other they are dropped (node §1.5). */
export const send = (self: IpcStreams, id: number, data: Uint8Array): Effect.Effect<void> | undefined =>
  self.entries.get(id)?.pipe.send(data)

/** Our operations on streams (`IpcExtension`), in the order of the client's frames; undefined for any other. */
export const perform = (
  self: IpcStreams,
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject> | undefined => {
  if (op === "streams") {
    self.knowsEnds = Json.boolean(value, "ends")
    return Effect.succeed({ ends: self.knowsEnds })
  }
  const connection = Json.unsigned(value, "connection", 32)
  const pipe = self.entries.get(connection)?.pipe
  if (op === "stream.end")
    return Effect.as(
      Effect.sync(() => pipe?.end()),
      { connection }
    )
  if (op !== "stream.nodelay") return undefined
  return Effect.as(pipe?.connection.setNoDelay(Json.boolean(value, "on")) ?? Effect.void, { connection })
}

/** Closes a stream of this client, or any of the daemon; unknown ones are no error (node §1.5). */
export const close = (self: IpcStreams, id: number, slot: Slot): Effect.Effect<void> =>
  Effect.suspend(() => {
    const reply = IpcReply.encode({ _tag: "CloseOk", connection: id })
    const entry = self.entries.get(id)
    if (entry !== undefined) {
      self.entries.delete(id)
      entry.receiving.interruptUnsafe()
      if (!entry.pipe.hasEnded) self.outbox.push(reply)
      entry.pipe.close()
    }
    self.replies.fill(slot, reply)
    return entry === undefined ? self.node.closeConnection(id) : Effect.void
  })

/** Binds a port for as long as the client lives; streams are announced a moment after the reply. */
export const bind = Effect.fnUntraced(function* (self: IpcStreams, port: Port, slot: Slot) {
  const own = yield* Scope.fork(self.scope)
  const bound = yield* Effect.exit(Scope.provide(self.node.listen(port), own))
  if (Exit.isFailure(bound)) {
    yield* Scope.close(own, Exit.void)
    return yield* refuse(self, slot, `port ${port} already bound`)
  }
  self.ports.set(port, own)
  const answered = Latch.makeUnsafe(false)
  // The reference's driver registers the port only after it has read BindOK, and drops what comes before (rule 4).
  const delay = Effect.andThen(answered.await, Effect.sleep(ACCEPT_DELAY))
  yield* Effect.forkIn(Effect.andThen(delay, acceptAll(self, bound.value)), own)
  self.replies.fill(slot, IpcReply.encode({ _tag: "BindOk", port }), () => answered.openUnsafe())
})

/** Gives a port of this client back; streams that were accepted go on. */
export const unbind = Effect.fnUntraced(function* (self: IpcStreams, port: Port, slot: Slot) {
  const own = self.ports.get(port)
  if (own === undefined) return yield* refuse(self, slot, "unbind: port is not owned by this client")
  self.ports.delete(port)
  yield* Scope.close(own, Exit.void)
  self.replies.fill(slot, IpcReply.encode({ _tag: "UnbindOk", port }))
})

/** Ends the dials that are under way; each is answered as a failed one. */
export const cancel = (self: IpcStreams): void => {
  const cancelled = self.cancelled
  self.cancelled = Deferred.makeUnsafe()
  Deferred.doneUnsafe(cancelled, Exit.fail("dial: cancelled"))
}

/** The client is gone: what it has sent still goes out, then its streams are closed (node §1.6). */
export const hangUp = (self: IpcStreams): void => {
  for (const { pipe } of self.entries.values()) pipe.close()
  self.entries.clear()
}

const dialNow = Effect.fnUntraced(function* <R>(self: IpcStreams, wanted: Dial<R>, slot: Slot) {
  const own = yield* Scope.fork(self.lingering)
  const answered = Latch.makeUnsafe(false)
  const dialled = (address: Address) =>
    self.node.dial(address, wanted.port, wanted.timeoutMs === undefined ? {} : { timeoutMs: wanted.timeoutMs }).pipe(
      Scope.provide(own),
      Effect.tapError(() => wanted.unanswered ?? Effect.void),
      Effect.mapError((error) => DialErrorText.format(error, address.node))
    )
  // Interrupted, or refused: nothing of the attempt stays.
  const opened = Effect.flatMap(wanted.address, dialled).pipe(
    Effect.tap((connection) => open(self, connection, own, answered)),
    Effect.onError(() => Scope.close(own, Exit.void))
  )
  const exit = yield* Effect.exit(Effect.raceFirst(opened, Deferred.await(self.cancelled)))
  if (Exit.isFailure(exit)) {
    const error = Exit.findErrorOption(exit)
    return yield* refuse(self, slot, error._tag === "Some" ? error.value : "dial: failed unexpectedly")
  }
  self.replies.fill(slot, IpcReply.encode(wanted.dialled(exit.value)), () => answered.openUnsafe())
})

/** Between taking a stream and knowing it nothing may interrupt, or nobody would close it. */
const acceptAll = (self: IpcStreams, listener: Listener): Effect.Effect<void> => {
  const next = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const connection = yield* restore(listener.accept)
      if (self.entries.size + self.dialling >= CONNECTIONS_MAX) return yield* connection.reset
      const own = yield* Scope.fork(self.lingering)
      yield* Scope.addFinalizer(own, connection.close)
      const announced = Latch.makeUnsafe(false)
      yield* open(self, connection, own, announced)
      yield* restore(self.outbox.send(announcement(connection)))
      announced.openUnsafe()
    })
  )
  return Effect.ignore(Effect.forever(next))
}

/** Makes the stream known and starts its two fibers; received data waits for `announced`. */
const open = Effect.fnUntraced(function* (
  self: IpcStreams,
  connection: Connection,
  own: Scope.Closeable,
  announced: Latch.Latch
) {
  const pipe = new IpcPipe(connection, (reason) => {
    if (self.knowsEnds) self.outbox.push(resetEvent(connection.id, reason))
  })
  yield* Effect.forkIn(Effect.ensuring(pipe.run, Scope.close(own, Exit.void)), self.lingering)
  const receiving = yield* Effect.forkIn(
    Effect.andThen(announced.await, receive(self, pipe)).pipe(Effect.interruptible),
    self.scope
  )
  self.entries.set(connection.id, { pipe, receiving })
}, Effect.uninterruptible)

const receive = (self: IpcStreams, pipe: IpcPipe): Effect.Effect<void> => {
  const { direct, id, read } = pipe.connection
  /** Gives what to wait for when the client's outbox has no room. What our own nodes send beyond the reference's segments is split. */
  const pass = (segment: Uint8Array): Effect.Effect<void> | undefined => {
    const maxBytes = self.knowsEnds ? RECV_OWN_BYTES_MAX : RECV_BYTES_MAX
    for (let start = 0; start < segment.length; start += maxBytes) {
      const data = segment.length <= maxBytes ? segment : segment.subarray(start, start + maxBytes)
      if (self.outbox.offer(...IpcReply.encodeRecv(id, data))) continue
      const rest = segment.subarray(start)
      return Effect.andThen(
        self.outbox.hasRoom,
        Effect.suspend(() => pass(rest) ?? Effect.void)
      )
    }
    return undefined
  }
  /** Everything that has come, then waits for more. */
  const passAll = (stream: DirectStream): Effect.Effect<void, ConnectionReset | Cause.Done> => {
    for (let next = stream.read(); ; next = stream.read()) {
      if (next === undefined) return stream.readable.waitUnless(() => stream.isReadable)
      if (!(next instanceof Uint8Array)) return next
      const full = pass(next)
      if (full !== undefined) return full
    }
  }
  const next: Effect.Effect<void, ConnectionReset | Cause.Done> =
    direct === undefined
      ? Effect.flatMap(read, (segment) => pass(segment) ?? Effect.void)
      : Effect.suspend(() => passAll(direct))
  // The protocol has one word for every end; a client that asked for it hears of a reset before that.
  const ended = (error: ConnectionReset | Cause.Done) => {
    pipe.hasEnded = true
    if (self.knowsEnds && !Cause.isDone(error)) self.outbox.push(resetEvent(id, error.reason))
    self.outbox.push(IpcReply.encode({ _tag: "CloseOk", connection: id }))
    // For any other client the whole stream is over now (node §1.5).
    if (!self.knowsEnds) pipe.close()
  }
  return Effect.catch(Effect.forever(next, { disableYield: true }), (error) => Effect.sync(() => ended(error)))
}

const resetEvent = (connection: number, reason: string): Uint8Array =>
  IpcReply.encode({ _tag: "Answer", to: "Extension", value: { event: RESET_EVENT, connection, reason } })

const announcement = ({ id, localPort, remote, remotePort }: Connection): Uint8Array =>
  IpcReply.encode({ _tag: "Accept", localPort, connection: id, remote, remotePort })

const refuse = ({ replies }: IpcStreams, slot: Slot, message: string): Effect.Effect<void> =>
  Effect.sync(() => replies.fill(slot, IpcReply.encode(IpcReply.error(message))))

/** Overlay connections of one client (node §1.3 rule 7). */
const CONNECTIONS_MAX = 4096
/** Data bytes of one Recv (node §1.5). */
const RECV_BYTES_MAX = 4096
/** The same for a client that knows ends: a quarter of what one read of a socket brings, so that most frames arrive whole. */
const RECV_OWN_BYTES_MAX = 16 << 10
const ACCEPT_DELAY = Duration.millis(5)
