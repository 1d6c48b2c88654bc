/**
 * The client of a running daemon (node §1): one socket, requests answered in order, streams and datagrams between the
 * answers. Works with daemons of the reference: it never waits for the reply of Close, tolerates a second CloseOK, data
 * before DialOK, datagrams of other ports, and errors for Sends (node §12).
 *
 * One request is in flight at a time, so a slow dial holds back other requests of the same client, though not the data
 * of its streams nor their ends. Open a second client where that matters.
 */
import { Deferred, Duration, Effect, Queue, Result, type Scope, Semaphore } from "effect"
import { Socket } from "effect/socket"
import * as Json from "../../core/data/Json.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as IpcOpcode from "../../protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../protocol/wire/IpcRequest.ts"
import type { DatagramReceived } from "../node/Node.ts"
import { IpcError } from "./IpcError.ts"
import { type Accepted, dialledBy, IpcSession } from "./IpcSession.ts"
import { ask, askJson, askOwn, disconnected, tellOwn, type Wire } from "./IpcWire.ts"

/** One overlay stream. `end` closes it as a whole: the IPC of the reference knows no half-closed streams (node §1.5). */
export interface IpcConnection extends Duplex<IpcError> {
  /** Ends writing only, after `knowEnds`; with a daemon of the reference nothing is read after it either. Idempotent. */
  readonly endWriting: Effect.Effect<void>
  /** See `Connection.setNoDelay` of the node; a daemon of the reference keeps its own way. */
  readonly setNoDelay: (isOn: boolean) => Effect.Effect<void>
  readonly id: number
  readonly remote: Address.Address
  readonly remotePort: Address.Port
  /** The bound port of an accepted stream; 0 for a dialled one, whose daemon does not tell. */
  readonly localPort: Address.Port
}

/** A bound port. */
export interface IpcListener {
  readonly port: Address.Port
  /** The next stream; whoever takes it must end it. */
  readonly accept: Effect.Effect<IpcConnection, IpcError>
}

/** Everything a daemon can be asked. JSON answers are passed on as they came. */
export interface IpcClient {
  readonly info: Effect.Effect<Json.JsonObject, IpcError>
  readonly health: Effect.Effect<Json.JsonObject, IpcError>
  readonly resolveHostname: (name: string) => Effect.Effect<Json.JsonObject, IpcError>
  /** An empty name clears it. */
  readonly setHostname: (name: string) => Effect.Effect<Json.JsonObject, IpcError>
  readonly setVisibility: (isPublic: boolean) => Effect.Effect<Json.JsonObject, IpcError>
  readonly setTags: (tags: ReadonlyArray<string>) => Effect.Effect<Json.JsonObject, IpcError>
  readonly setTaskExec: (enabled: boolean) => Effect.Effect<Json.JsonObject, IpcError>
  /** An empty URL ends it. */
  readonly setWebhook: (url: string) => Effect.Effect<Json.JsonObject, IpcError>
  readonly deregister: Effect.Effect<Json.JsonObject, IpcError>
  readonly handshake: (node: Address.NodeId, justification: string) => Effect.Effect<Json.JsonObject, IpcError>
  readonly approve: (node: Address.NodeId) => Effect.Effect<Json.JsonObject, IpcError>
  readonly reject: (node: Address.NodeId, reason: string) => Effect.Effect<Json.JsonObject, IpcError>
  readonly revoke: (node: Address.NodeId) => Effect.Effect<Json.JsonObject, IpcError>
  readonly pending: Effect.Effect<Json.JsonObject, IpcError>
  readonly trusted: Effect.Effect<Json.JsonObject, IpcError>
  /** Waits until the node is trusted, at most 30 s; newer daemons only. */
  readonly awaitTrust: (node: Address.NodeId, timeoutMs: number) => Effect.Effect<Json.JsonObject, IpcError>
  /** Our own operations; a daemon of the reference answers `unknown command: 0x71`. */
  readonly extension: (op: string, value: Json.JsonObject) => Effect.Effect<Json.JsonObject, IpcError>
  /** Asks the daemon to keep streams open after the peer's end, and to say why one was reset; false if it cannot. */
  readonly knowEnds: Effect.Effect<boolean, IpcError>
  /** Closing the scope closes the connection. */
  readonly dial: (address: Address.Address, port: Address.Port) => Effect.Effect<IpcConnection, IpcError, Scope.Scope>
  /**
   * The same by name, address or number, all in one question, with `knowEnds`. A daemon that cannot answers with the
   * reason `Daemon` and `unknown`.
   */
  readonly dialTarget: (
    target: string,
    port: Address.Port,
    timeoutMs?: number
  ) => Effect.Effect<IpcConnection, IpcError, Scope.Scope>
  /** The port stays bound until the client ends; streams that come after the scope are closed at once. */
  readonly bind: (port: Address.Port) => Effect.Effect<IpcListener, IpcError, Scope.Scope>
  readonly sendTo: (address: Address.Address, port: Address.Port, data: Uint8Array) => Effect.Effect<void, IpcError>
  /** The same, failing where the daemon knows that it has not left; a daemon of the reference says nothing. */
  readonly sendToConfirmed: (
    address: Address.Address,
    port: Address.Port,
    data: Uint8Array
  ) => Effect.Effect<void, IpcError>
  /** Every datagram for the node, whatever its port; the oldest are dropped beyond `capacity`. */
  readonly datagrams: (capacity: number) => Effect.Effect<Queue.Dequeue<DatagramReceived, IpcError>, never, Scope.Scope>
  /** `sendTo` leaves from this port from now on, and `datagrams` hears only it; none is a free one. Ours. */
  readonly holdDatagrams: (port: Address.Port | undefined) => Effect.Effect<Address.Port, IpcError>
  /** Closes any connection of the daemon, and waits a moment for its word. */
  readonly closeConnection: (id: number) => Effect.Effect<void, IpcError>
}

/** Speaks to the daemon at the other end of a socket, which ends with the scope. */
export const make = Effect.fnUntraced(function* (
  socket: Socket.Socket
): Effect.fn.Return<IpcClient, IpcError, Scope.Scope> {
  const pull = yield* Effect.mapError(Socket.readerBytes(socket), () => disconnected("connect"))
  const writer = yield* socket.writer
  const session = new IpcSession()
  const wire: Wire = {
    session,
    oneAtATime: yield* Semaphore.make(1),
    inOrder: yield* Semaphore.make(1),
    knowsEnds: false,
    send: (request, operation) =>
      Effect.mapError(writer.write(IpcRequest.encode(request)), () => disconnected(operation)),
    sendAll: (connection, bytes) => {
      const [first, ...others] = frames(connection, bytes)
      if (first === undefined) return Effect.void
      return Effect.mapError(writer.writeAll([first, ...others]), () => disconnected("send"))
    }
  }
  yield* Effect.forkScoped(receiveAll(wire, pull), { startImmediately: true })
  return clientOf(wire)
})

const receiveAll = (
  { session, send }: Wire,
  pull: Effect.Effect<ReadonlyArray<Uint8Array>, Socket.SocketError>
): Effect.Effect<void> => {
  const splitter = IpcOpcode.makeSplitter()
  const closeAll = (unwanted: ReadonlyArray<number>) =>
    Effect.forEach(unwanted, (connection) => send({ _tag: "Close", connection }, "close"), { discard: true })
  const take = (chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, IpcError> => {
    const unwanted: Array<number> = []
    let isExceeded = false
    for (const chunk of chunks) {
      const { frames, exceeded } = splitter.push(chunk)
      for (const frame of frames) {
        const reply = IpcReply.decode(frame)
        // A frame this version cannot read is dropped, as the reference's driver does.
        const connection = Result.isSuccess(reply) ? session.take(reply.success) : undefined
        if (connection !== undefined) unwanted.push(connection)
      }
      isExceeded ||= exceeded !== undefined
    }
    session.deliver()
    const closed = unwanted.length === 0 ? Effect.void : closeAll(unwanted)
    return isExceeded ? Effect.andThen(closed, disconnected("recv")) : closed
  }
  return session.budget.hasRoom.pipe(
    Effect.andThen(pull),
    Effect.flatMap(take),
    // It waits for the socket by itself; a turn of the event loop in between would only cost.
    Effect.forever({ disableYield: true }),
    Effect.ignore,
    Effect.ensuring(Effect.sync(() => session.lose()))
  )
}

const clientOf = (wire: Wire): IpcClient => ({
  info: askJson(wire, "info", "Info", { _tag: "Info" }),
  health: askJson(wire, "health", "Health", { _tag: "Health" }),
  resolveHostname: (name) => askJson(wire, "resolve_hostname", "ResolveHostname", { _tag: "ResolveHostname", name }),
  setHostname: (name) => askJson(wire, "set_hostname", "SetHostname", { _tag: "SetHostname", name }),
  setVisibility: (isPublic) => askJson(wire, "set_visibility", "SetVisibility", { _tag: "SetVisibility", isPublic }),
  setTags: (tags) => askJson(wire, "set_tags", "SetTags", { _tag: "SetTags", tags }),
  setTaskExec: (enabled) => askJson(wire, "set_task_exec", "SetTaskExec", { _tag: "SetTaskExec", enabled }),
  setWebhook: (url) => askJson(wire, "set_webhook", "SetWebhook", { _tag: "SetWebhook", url }),
  deregister: askJson(wire, "deregister", "Deregister", { _tag: "Deregister" }),
  handshake: (node, justification) =>
    askJson(wire, "handshake", "Handshake", { _tag: "HandshakeSend", node, justification }),
  approve: (node) => askJson(wire, "approve", "Handshake", { _tag: "HandshakeApprove", node }),
  reject: (node, reason) => askJson(wire, "reject", "Handshake", { _tag: "HandshakeReject", node, reason }),
  revoke: (node) => askJson(wire, "revoke", "Handshake", { _tag: "HandshakeRevoke", node }),
  pending: askJson(wire, "pending", "Handshake", { _tag: "HandshakePending" }),
  trusted: askJson(wire, "trusted", "Handshake", { _tag: "HandshakeTrusted" }),
  awaitTrust: (node, timeoutMs) => askJson(wire, "wait", "Handshake", { _tag: "HandshakeWait", node, timeoutMs }),
  extension: (op, value) => askOwn(wire, op, value),
  knowEnds: askOwn(wire, "streams", { ends: true }).pipe(
    Effect.map(() => true),
    Effect.catchIf(
      ({ reason }) => reason === "Daemon",
      () => Effect.succeed(false)
    ),
    Effect.tap((known) =>
      Effect.sync(() => {
        wire.knowsEnds = known
      })
    )
  ),
  dial: (address, port) => dial(wire, { _tag: "Dial", address, port }, port, () => address),
  dialTarget: (target, port, timeoutMs) => {
    const value = { target, port, timeout_ms: timeoutMs ?? 0, ends: true }
    const remote = (reply: IpcReply.IpcReply) =>
      Address.make(0, reply._tag === "Answer" ? Json.unsigned(reply.value, "node_id", 32) : 0)
    const dialled = dial(wire, { _tag: "Extension", op: "dial", value }, port, remote)
    return Effect.tap(dialled, () =>
      Effect.sync(() => {
        wire.knowsEnds = true
      })
    )
  },
  bind: (port) => bind(wire, port),
  sendTo: (address, port, data) => wire.send({ _tag: "SendTo", address, port, data }, "sendto"),
  sendToConfirmed: (address, port, data) =>
    Effect.asVoid(
      ask(wire, "sendto", { _tag: "SendToConfirm", address, port, data }, (reply) => reply._tag === "SendToConfirmed")
    ).pipe(
      Effect.catchIf(
        ({ detail, reason }) => reason === "Daemon" && detail.startsWith("unknown command:"),
        () => wire.send({ _tag: "SendTo", address, port, data }, "sendto")
      )
    ),
  datagrams: (capacity) =>
    Effect.acquireRelease(
      Effect.tap(Queue.sliding<DatagramReceived, IpcError>(capacity), (queue) =>
        Effect.sync(() => wire.session.subscribe(queue))
      ),
      (queue) => Effect.sync(() => wire.session.unsubscribe(queue))
    ),
  holdDatagrams: (port) =>
    Effect.map(askOwn(wire, "datagrams.hold", { port: port ?? 0 }), (reply) =>
      Address.Port(Json.unsigned(reply, "port", 16))
    ),
  closeConnection: (id) =>
    Effect.suspend(() => {
      const closed = wire.session.awaitClosed(id)
      const request = wire.send({ _tag: "Close", connection: id }, "close")
      return Effect.andThen(request, Effect.ignore(Effect.timeout(Deferred.await(closed), CLOSE_TIMEOUT)))
    })
})

const dial = (
  wire: Wire,
  request: IpcRequest.IpcRequest,
  port: Address.Port,
  remote: (reply: IpcReply.IpcReply) => Address.Address
): Effect.Effect<IpcConnection, IpcError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.map(
      ask(wire, "dial", request, (reply) => dialledBy(reply) !== undefined),
      (reply) => connectionOf(wire, dialledBy(reply) ?? 0, remote(reply), port, Address.Port(0))
    ),
    (connection) => connection.end,
    { interruptible: true }
  )

const bind = Effect.fnUntraced(function* (wire: Wire, port: Address.Port) {
  const queue = yield* Queue.unbounded<Accepted, IpcError>()
  // Before the request, because an Accept may follow BindOK in the same chunk.
  yield* Effect.acquireRelease(
    Effect.sync(() => wire.session.listen(port, queue)),
    () => Effect.sync(() => wire.session.unlisten(port))
  )
  yield* ask(wire, "bind", { _tag: "Bind", port }, (reply) => reply._tag === "BindOk")
  const accept = Effect.map(Queue.take(queue), ({ frame }) =>
    connectionOf(wire, frame.connection, frame.remote, frame.remotePort, frame.localPort)
  )
  return { port, accept }
})

const connectionOf = (
  wire: Wire,
  id: number,
  remote: Address.Address,
  remotePort: Address.Port,
  localPort: Address.Port
): IpcConnection => {
  const stream = wire.session.stream(id)
  const end = Effect.suspend(() => {
    if (wire.session.stream(id) !== stream || stream === undefined) return Effect.void
    wire.session.forget(id)
    return Effect.ignore(wire.send({ _tag: "Close", connection: id }, "close"))
  })
  let isEnded = false
  const endWriting = Effect.suspend(() => {
    if (isEnded || wire.session.stream(id) !== stream) return Effect.void
    isEnded = true
    return wire.knowsEnds ? tellOwn(wire, "stream.end", { connection: id }) : end
  })
  const write = (bytes: Uint8Array): Effect.Effect<void, IpcError> =>
    Effect.suspend(() => {
      if (stream?.failure !== undefined) return Effect.fail(stream.failure)
      return wire.session.stream(id) === stream && !isEnded
        ? wire.sendAll(id, bytes)
        : Effect.fail(new IpcError({ reason: "Closed", operation: "send", detail: "the stream is closed" }))
    })
  const read = stream?.read ?? Effect.fail(disconnected("recv"))
  const setNoDelay = (on: boolean): Effect.Effect<void> =>
    Effect.ignore(askOwn(wire, "stream.nodelay", { connection: id, on }))
  return { id, remote, remotePort, localPort, read, write, setNoDelay, end, endWriting }
}

const frames = (connection: number, bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / SEND_BYTES_MAX) }, (_, index) => {
    const data = bytes.subarray(index * SEND_BYTES_MAX, (index + 1) * SEND_BYTES_MAX)
    return IpcRequest.encode({ _tag: "Send", connection, data })
  })

/** Daemons of the reference may keep the reply of a Close to themselves (cli §8). */
const CLOSE_TIMEOUT = Duration.seconds(1)
/** A quarter of what one read of a socket brings: most frames then arrive whole, which triples the throughput. */
const SEND_BYTES_MAX = 16 << 10
