/**
 * One local client on the IPC socket (node §1).
 *
 * Owns its outbox, the order of its replies, its ports and its connections. Told by the socket what the client asks;
 * tells the services of the node. There is no mailbox: the socket is one, and it is not read while the bytes for a
 * stream or the requests in progress are above their bounds. Never restarted; when the socket ends, or the client does
 * not read for `WRITE_TIMEOUT`, its ports are released, what it has sent is still delivered, and its streams are closed.
 *
 * Dials and waits run beside the socket, everything else in order; Send, SendTo and Close wait for none of them.
 */
import { Duration, Effect, Fiber, Queue, Result, Scheduler, type Scope } from "effect"
import { Socket } from "effect/socket"
import { Turns } from "../../core/actor/Turns.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as IpcOpcode from "../../protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../protocol/wire/IpcRequest.ts"
import { Node } from "../node/Node.ts"
import * as InfoReply from "./InfoReply.ts"
import * as IpcCommands from "./IpcCommands.ts"
import * as IpcDatagrams from "./IpcDatagrams.ts"
import * as IpcExtension from "./IpcExtension.ts"
import * as IpcNetworks from "./IpcNetworks.ts"
import * as IpcStreams from "./IpcStreams.ts"
import { Outbox } from "./Outbox.ts"
import { ReplyOrder, type Slot } from "./ReplyOrder.ts"

/** What every client of one daemon shares. */
export interface Options {
  readonly daemon: IpcCommands.Daemon
  /** Outlives the clients, so that what they have sent is delivered after they are gone. */
  readonly lingering: Scope.Scope
}

/** Serves one client until its socket ends. */
export const serve = Effect.fn("IpcClientActor.serve")(
  function* (options: Options, socket: Socket.Socket) {
    const pull = yield* Socket.readerBytes(socket)
    const writer = yield* socket.writer
    const client = yield* open(options)
    yield* Effect.forkScoped(answerInOrder(client))
    yield* Effect.raceFirst(readAll(client, pull), writeAll(client.outbox, writer))
  },
  Effect.scoped,
  // How the socket ended does not matter: the client is gone.
  Effect.catchTag("SocketError", () => Effect.void)
)

interface Client {
  readonly options: Options
  readonly node: Node["Service"]
  readonly scope: Scope.Scope
  readonly turns: Turns
  readonly outbox: Outbox
  readonly replies: ReplyOrder
  readonly streams: IpcStreams.IpcStreams
  readonly questions: Queue.Queue<Question>
  readonly datagrams: IpcDatagrams.IpcDatagrams
}

interface Question {
  readonly slot: Slot
  readonly request: IpcCommands.JsonRequest | Extract<IpcRequest.IpcRequest, { readonly _tag: "Bind" | "Unbind" }>
}

const open = Effect.fnUntraced(function* (options: Options) {
  const turns = Turns.of(yield* Scheduler.Scheduler)
  const outbox = new Outbox(turns)
  const node = yield* Node
  const scope = yield* Effect.scope
  const replies = new ReplyOrder((frame) => outbox.push(frame))
  const streams = IpcStreams.make({ node, outbox, replies, scope, lingering: options.lingering })
  yield* Effect.addFinalizer(() => Effect.sync(() => IpcStreams.hangUp(streams)))
  const client: Client = {
    ...{ options, node, scope, turns, outbox, replies, streams },
    questions: yield* Queue.unbounded<Question>(),
    datagrams: yield* IpcDatagrams.make({ node, outbox, replies, scope })
  }
  return client
})

const readAll = (
  client: Client,
  pull: Effect.Effect<ReadonlyArray<Uint8Array>, Socket.SocketError>
): Effect.Effect<void, Socket.SocketError, IpcCommands.Services> => {
  const splitter = IpcOpcode.makeSplitter()
  const next: Step = Effect.flatMap(pull, (chunks) => takeAll(chunks, 0))
  const takeAll = (chunks: ReadonlyArray<Uint8Array>, from: number): Step => {
    const chunk = chunks[from]
    if (chunk === undefined) return next
    const { frames, exceeded } = splitter.push(chunk)
    const taken = takeFrames(client, frames, 0)
    const done = () => {
      // What the client has sent leaves now, and its replies with it. Of a bulk transfer more is coming, to share datagrams.
      if (chunk.length < BULK_BYTES) client.turns.run()
      return exceeded === undefined ? takeAll(chunks, from + 1) : Effect.logError(ABOVE_LIMIT)
    }
    return taken === undefined ? done() : Effect.flatMap(taken, done)
  }
  return next
}

type Step = Effect.Effect<void, Socket.SocketError, IpcCommands.Services>
type Work = Effect.Effect<void, never, IpcCommands.Services>

/** Handles frames in order; gives what must be waited for, if anything. */
const takeFrames = (client: Client, frames: ReadonlyArray<Uint8Array>, from: number): Work | undefined => {
  for (let index = from; index < frames.length; index++) {
    const frame = frames[index]!
    const work = client.replies.isRoomy
      ? handle(client, frame)
      : Effect.andThen(
          client.replies.hasRoom,
          Effect.suspend(() => handle(client, frame) ?? Effect.void)
        )
    if (work !== undefined) return Effect.flatMap(work, () => takeFrames(client, frames, index + 1) ?? Effect.void)
  }
  return undefined
}

const handle = (client: Client, frame: Uint8Array): Work | undefined => {
  const decoded = IpcRequest.decode(frame)
  if (Result.isFailure(decoded)) return refuse(client, decoded.failure)
  const request = decoded.success
  switch (request._tag) {
    case "Empty":
      return undefined
    case "Send":
      return IpcStreams.send(client.streams, request.connection, request.data)
    case "Close":
      return IpcStreams.close(client.streams, request.connection, client.replies.reserve())
    case "SendTo":
      return Effect.sync(() => IpcDatagrams.send(client.datagrams, request))
    case "SendToConfirm":
      return IpcDatagrams.confirm(client.datagrams, request, client.replies.reserve())
    case "Broadcast": {
      const slot = client.replies.reserve()
      const sent = Effect.match(IpcNetworks.broadcast(request.network, request.port, request.data), {
        onSuccess: (): IpcReply.IpcReply => ({ _tag: "Broadcasted" }),
        onFailure: (detail) => IpcReply.error(detail)
      })
      const filled = Effect.map(sent, (reply) => client.replies.fill(slot, IpcReply.encode(reply)))
      return Effect.asVoid(Effect.forkIn(filled, client.scope))
    }
    case "Cancel":
      return Effect.sync(() => IpcStreams.cancel(client.streams))
    case "Dial":
      return IpcStreams.dial(client.streams, dialled(request.address, request.port), client.replies.reserve())
    case "Extension": {
      if (request.op === "dial")
        return IpcStreams.dial(client.streams, dialledByName(client, request.value), client.replies.reserve())
      if (request.op === "datagrams.hold")
        return IpcDatagrams.hold(client.datagrams, request.value, client.replies.reserve())
      const done = IpcStreams.perform(client.streams, request.op, request.value)
      const slot = client.replies.reserve()
      if (done === undefined) return Effect.asVoid(Queue.offer(client.questions, { slot, request }))
      return Effect.map(done, (value) =>
        client.replies.fill(slot, IpcReply.encode({ _tag: "Answer", to: "Extension", value }))
      )
    }
    case "HandshakeWait":
      return Effect.asVoid(Effect.forkIn(answer(client, { slot: client.replies.reserve(), request }), client.scope))
    default:
      return Effect.asVoid(Queue.offer(client.questions, { slot: client.replies.reserve(), request }))
  }
}

const dialled = (address: Address.Address, port: Address.Port): IpcStreams.Dial<never> => ({
  address: Effect.succeed(address),
  port,
  dialled: ({ id }) => ({ _tag: "DialOk", connection: id })
})

/** All that a dial by name takes, in one question (`IpcExtension`). */
const dialledByName = ({ streams }: Client, value: Json.JsonObject): IpcStreams.Dial<IpcCommands.Services> => {
  const target = Json.string(value, "target")
  const timeoutMs = Json.unsigned(value, "timeout_ms", 32)
  streams.knowsEnds = Json.boolean(value, "ends")
  return {
    address: Effect.map(IpcExtension.locate(target, true), ({ node }) => Address.make(0, node)),
    port: Address.Port(Json.unsigned(value, "port", 16)),
    ...(timeoutMs === 0 ? {} : { timeoutMs }),
    dialled: ({ id, remote }) => ({
      _tag: "Answer",
      to: "Extension",
      value: { dialled: id, node_id: remote.node, address: Address.format(remote) }
    }),
    unanswered: IpcExtension.forget(target)
  }
}

/** A Send is never answered: its Error would be taken for the reply of another request (node §1.5). */
const refuse = ({ replies }: Client, { opcode, message }: IpcRequest.IpcRefusal): Effect.Effect<void> =>
  opcode === IpcOpcode.Opcode.Send || opcode === IpcOpcode.Opcode.SendTo
    ? Effect.logDebug(`IPC: ${message}`)
    : Effect.sync(() => replies.fill(replies.reserve(), IpcReply.encode(IpcReply.error(message))))

/** One at a time, so that a request sees what the one before it did; not while the client leaves replies unread. */
const answerInOrder = (client: Client) =>
  Queue.take(client.questions).pipe(
    Effect.tap(() => client.outbox.hasRoom),
    Effect.flatMap((question) => answer(client, question)),
    Effect.forever
  )

const answer = ({ options, replies, streams }: Client, { slot, request }: Question) => {
  if (request._tag === "Bind") return IpcStreams.bind(streams, request.port, slot)
  if (request._tag === "Unbind") return IpcStreams.unbind(streams, request.port, slot)
  return IpcCommands.answer(options.daemon, request).pipe(
    Effect.map((value): IpcReply.IpcReply => {
      const fitting = InfoReply.fit(value, LISTS, IpcOpcode.FRAME_BYTES_MAX - 1)
      return { _tag: "Answer", to: ANSWERED[request._tag], value: fitting }
    }),
    Effect.catch((message) => Effect.succeed(IpcReply.error(message))),
    Effect.catchDefect((defect) =>
      Effect.as(Effect.logError("IPC: a request failed unexpectedly", defect), IpcReply.error("internal error"))
    ),
    Effect.map((reply) => replies.fill(slot, IpcReply.encode(reply)))
  )
}

/** Ends when the client does not read; the socket is then cut, because flushing it would never end. */
const writeAll = (outbox: Outbox, writer: Socket.Writer): Effect.Effect<void, Socket.SocketError> => {
  const write = Effect.flatMap(outbox.take, (frames) =>
    Effect.flatMap(Effect.forkChild(writer.writeAll(frames), { startImmediately: true }), inTime)
  )
  const writeOn: Effect.Effect<void, Socket.SocketError> = Effect.flatMap(write, (isReading) =>
    isReading ? writeOn : Effect.void
  )
  return writeOn.pipe(
    Effect.andThen(Effect.logWarning("IPC: a client that does not read was disconnected")),
    Effect.andThen(writer.write(new Socket.CloseEvent(NOT_READING, "not reading")))
  )
}

/** False when it takes too long. A socket with room has taken everything already, and needs no timer. */
const inTime = (writing: Fiber.Fiber<void, Socket.SocketError>): Effect.Effect<boolean, Socket.SocketError> => {
  const written = writing.pollUnsafe()
  if (written !== undefined) return Effect.as(written, true)
  return Effect.timeoutOrElse(Effect.as(Fiber.join(writing), true), {
    duration: WRITE_TIMEOUT,
    orElse: () => Effect.as(Fiber.interrupt(writing), false)
  })
}

const ANSWERED: Readonly<Record<IpcCommands.JsonRequest["_tag"], IpcReply.Answered>> = {
  Info: "Info",
  HandshakeSend: "Handshake",
  HandshakeApprove: "Handshake",
  HandshakeReject: "Handshake",
  HandshakePending: "Handshake",
  HandshakeTrusted: "Handshake",
  HandshakeRevoke: "Handshake",
  HandshakeWait: "Handshake",
  ResolveHostname: "ResolveHostname",
  SetHostname: "SetHostname",
  SetVisibility: "SetVisibility",
  Deregister: "Deregister",
  SetTags: "SetTags",
  SetWebhook: "SetWebhook",
  SetTaskExec: "SetTaskExec",
  Health: "Health",
  RotateKey: "RotateKey",
  EnrollRecovery: "EnrollRecovery",
  Extension: "Extension"
}

const ABOVE_LIMIT = "IPC: a client sent a frame above the limit and was disconnected"
/** What one read of a socket brings at least when its writer does not stop. */
const BULK_BYTES = 16 << 10
const LISTS = ["conn_list", "peer_list", "pending", "trusted"]
/** A client that takes nothing for so long is not there any more (node §1.3 rule 6). */
const WRITE_TIMEOUT = Duration.seconds(10)
/** Any code but that of a normal closure cuts the socket at once. */
const NOT_READING = 1008
