/** A daemon's socket over a scripted node, and a client that speaks raw frames to it. */
import { Effect, Latch, Queue, type Scope } from "effect"
import { NetAddress } from "effect/net"
import { Socket, SocketServer } from "effect/socket"
import * as IpcServerActor from "../../src/actors/ipc/IpcServerActor.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as IpcOpcode from "../../src/protocol/wire/IpcOpcode.ts"
import * as IpcReply from "../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../src/protocol/wire/IpcRequest.ts"
import { ScriptedNode } from "./ScriptedNode.ts"
import * as SocketPair from "./SocketPair.ts"
import { success } from "./Vectors.ts"

/** One client of the daemon under test. */
export interface RawClient {
  readonly send: (...requests: ReadonlyArray<IpcRequest.IpcRequest>) => Effect.Effect<void>
  readonly sendHex: (hex: string) => Effect.Effect<void>
  /** The next frame, decoded. */
  readonly next: Effect.Effect<IpcReply.IpcReply>
  /** The next frame as hexadecimal text, length included. */
  readonly nextHex: Effect.Effect<string>
  /** Frames that have arrived and were not taken. */
  readonly arrived: Effect.Effect<number>
  /** Stops and resumes reading. */
  readonly reading: Latch.Latch
  readonly hangUp: Effect.Effect<void>
  /** Completes when the daemon has closed the socket. */
  readonly ended: Effect.Effect<void>
}

/** The daemon under test. */
export interface IpcRig {
  readonly node: ScriptedNode
  readonly connect: Effect.Effect<RawClient, never, Scope.Scope>
  /** The client's end of a fresh socket, for the real client. */
  readonly socket: Effect.Effect<Socket.Socket>
}

/** Starts one in the surrounding scope. */
export const make: Effect.Effect<IpcRig, never, Scope.Scope> = Effect.gen(function* () {
  const node = new ScriptedNode()
  const incoming = yield* Queue.unbounded<Socket.Socket>()
  const server = SocketServer.SocketServer.of({
    address: NetAddress.unixPathAddress("/memory"),
    run: (handler) =>
      Effect.scoped(
        Effect.forever(Effect.flatMap(Queue.take(incoming), (socket) => Effect.forkScoped(handler(socket))))
      )
  })
  yield* Effect.provide(IpcServerActor.serve(server, { version: "0.0.0", beacon: "127.0.0.1:9001" }), node.layer)
  const socket = Effect.gen(function* () {
    const { left, right } = yield* SocketPair.make()
    yield* Queue.offer(incoming, right)
    return left
  })
  return { node, socket, connect: Effect.flatMap(socket, rawClient) }
})

const rawClient = Effect.fnUntraced(function* (socket: Socket.Socket) {
  const frames = yield* Queue.unbounded<Uint8Array>()
  const reading = Latch.makeUnsafe(true)
  const ended = Latch.makeUnsafe(false)
  const scope = yield* Effect.scope
  const { pull } = yield* Effect.orDie(socket.reader)
  const writer = yield* socket.writer
  const splitter = IpcOpcode.makeSplitter()
  const read = Effect.map(Effect.andThen(reading.await, pull), (chunks) => {
    for (const chunk of chunks)
      for (const frame of splitter.push(chunk as Uint8Array).frames) Queue.offerUnsafe(frames, frame)
  })
  yield* Effect.forkIn(
    Effect.andThen(
      Effect.ignore(Effect.forever(read)),
      Effect.sync(() => ended.openUnsafe())
    ),
    scope
  )
  const write = (bytes: Uint8Array) => Effect.ignore(writer.write(bytes))
  const client: RawClient = {
    send: (...requests) => write(Bytes.concat(...requests.map(IpcRequest.encode))),
    sendHex: (hex) => write(Bytes.fromHex(hex) ?? Bytes.empty),
    next: Effect.map(Queue.take(frames), (frame) => success(IpcReply.decode(frame))),
    nextHex: Effect.map(Queue.take(frames), (frame) => {
      const length = new Uint8Array(4)
      Bytes.writeU32(length, 0, frame.length)
      return Bytes.toHex(Bytes.concat(length, frame))
    }),
    arrived: Queue.size(frames),
    reading,
    hangUp: Effect.ignore(writer.write(new Socket.CloseEvent())),
    ended: ended.await
  }
  return client
})
