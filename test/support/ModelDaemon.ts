/** A daemon that a command talks to: what it answers is scripted per request, what it was asked is recorded. */
import { Effect, Result } from "effect"
import { Socket } from "effect/socket"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type { JsonObject } from "../../src/core/data/Json.ts"
import type { LocalSocket } from "../../src/core/net/LocalSocket.ts"
import { LocalSocketError } from "../../src/core/net/LocalSocket.ts"
import * as IpcOpcode from "../../src/protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../src/protocol/wire/IpcRequest.ts"
import * as SocketPair from "./SocketPair.ts"
import { success } from "./Vectors.ts"

/** The frames that answer one request, and what is pushed after them. */
export type Respond = (request: IpcRequest.IpcRequest) => ReadonlyArray<IpcReply.IpcReply>

/** `undefined`: nobody serves the socket. */
export interface ModelDaemon {
  respond: Respond | undefined
  readonly asked: Array<IpcRequest.IpcRequest>
  readonly local: LocalSocket["Service"]
}

/** A daemon with these answers. */
export const make = (respond: Respond | undefined): ModelDaemon => {
  const daemon: ModelDaemon = {
    respond,
    asked: [],
    local: {
      listen: (path) => Effect.fail(new LocalSocketError({ reason: "Other", path, detail: "not here" })),
      connect: (path) =>
        Effect.gen(function* () {
          if (daemon.respond === undefined)
            return yield* new LocalSocketError({ reason: "NotServed", path, detail: "ENOENT" })
          const { left, right } = yield* SocketPair.make()
          // Not in the command's scope: the last frames of a command arrive when it is over.
          yield* Effect.forkDetach(serve(daemon, right), { startImmediately: true })
          return left
        })
    }
  }
  return daemon
}

/** Answers given by kind of request; anything else is unknown to this daemon. */
export const answering =
  (answers: Readonly<Partial<Record<IpcRequest.IpcRequest["_tag"], ReadonlyArray<IpcReply.IpcReply>>>>): Respond =>
  (request) =>
    answers[request._tag] ?? [IpcReply.error(`unknown: ${request._tag}`)]

/** A JSON reply. */
export const json = (to: IpcReply.Answered, value: JsonObject): ReadonlyArray<IpcReply.IpcReply> => [
  { _tag: "Answer", to, value }
]

/** Replays a recording: each client frame must be the next of the script, and what follows it is sent. */
export const replaying = (
  frames: ReadonlyArray<{ readonly dir: string; readonly hex: string }>
): { readonly daemon: ModelDaemon; readonly rest: () => ReadonlyArray<string> } => {
  const script = [...frames]
  const daemon = make((request) => {
    const expected = script.shift()
    const sent = Bytes.toHex(IpcRequest.encode(request))
    if (expected === undefined || expected.hex !== sent)
      return [IpcReply.error(`not in the script: ${sent} instead of ${expected?.hex}`)]
    const replies: Array<IpcReply.IpcReply> = []
    while (script[0]?.dir === "daemon->client")
      replies.push(success(IpcReply.decode((Bytes.fromHex(script.shift()!.hex) ?? Bytes.empty).subarray(4))))
    return replies
  })
  return { daemon, rest: () => script.filter(({ dir }) => dir === "client->daemon").map(({ hex }) => hex) }
}

const serve = (daemon: ModelDaemon, socket: Socket.Socket) =>
  Effect.gen(function* () {
    const pull = yield* Socket.readerBytes(socket)
    const writer = yield* socket.writer
    const splitter = IpcOpcode.makeSplitter()
    while (true) {
      for (const chunk of yield* pull) {
        for (const frame of splitter.push(chunk).frames) {
          const request = Result.getOrThrow(IpcRequest.decode(frame))
          daemon.asked.push(request)
          for (const reply of daemon.respond?.(request) ?? []) yield* writer.write(IpcReply.encode(reply))
        }
      }
    }
  }).pipe(Effect.scoped, Effect.ignore)
