import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Socket } from "effect/socket"
import { LocalSocket } from "../../src/core/net/LocalSocket.ts"
import * as NodeLocalSocket from "../../src/core/net/NodeLocalSocket.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "pilot-socket-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const OWNERS = [process.getuid?.() ?? 0]

const test = (
  name: string,
  run: (local: LocalSocket["Service"], path: string) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const local = yield* LocalSocket
      yield* run(local, join(yield* directory, "pilot.sock"))
    }).pipe(Effect.provide(NodeLocalSocket.layer))
  )

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: string }, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("NodeLocalSocket", () => {
  test("carries bytes both ways, in order and whole, through its back-pressure", (local, path) =>
    Effect.gen(function* () {
      const server = yield* local.listen(path)
      const echo = (socket: Socket.Socket) =>
        Effect.gen(function* () {
          const pull = yield* Socket.readerBytes(socket)
          const writer = yield* socket.writer
          return yield* Effect.forever(Effect.flatMap(pull, (chunks) => writer.writeAll(chunks)))
        }).pipe(Effect.scoped, Effect.ignore)
      yield* Effect.forkScoped(server.run(echo))
      const socket = yield* local.connect(path, OWNERS)
      const pull = yield* Socket.readerBytes(socket)
      const writer = yield* socket.writer
      const sent = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251)
      yield* Effect.forkChild(writer.write(sent))
      const received: Array<Uint8Array> = []
      let sizeBytes = 0
      while (sizeBytes < sent.length) {
        for (const chunk of yield* pull) {
          received.push(chunk)
          sizeBytes += chunk.length
        }
      }

      assert.deepStrictEqual(Buffer.concat(received).equals(sent), true)
    }))

  test("appears with mode 0600 and leaves nothing behind (node §1.1, better)", (local, path) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide(local.listen(path), scope)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      yield* Scope.close(scope, Exit.void)

      assert.deepStrictEqual(readdirSync(join(path, "..")), [])
    }))

  test("refuses a path that is served, and the one who serves it goes on (node §1.1, better)", (local, path) =>
    Effect.gen(function* () {
      yield* local.listen(path)
      assert.strictEqual(yield* reasonOf(Effect.scoped(local.listen(path))), "AlreadyServed")

      yield* local.connect(path, OWNERS)
      assert.isTrue(statSync(path).isSocket())
    }))

  test("replaces a dead socket, but no other file", (local, path) =>
    Effect.gen(function* () {
      const dead = yield* Effect.callback<Server>((resume) => {
        const server = createServer()
        server.listen(`${path}.made`, () => resume(Effect.succeed(server)))
      })
      const { linkSync } = yield* Effect.promise(() => import("node:fs"))
      linkSync(`${path}.made`, path)
      yield* Effect.callback<void>((resume) => void dead.close(() => resume(Effect.void)))
      yield* Effect.scoped(local.listen(path))

      writeFileSync(path, "mine")
      assert.strictEqual(yield* reasonOf(Effect.scoped(local.listen(path))), "Other")
    }))

  test("believes only the owner it expects, and tells absent from impossible", (local, path) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(local.connect(path, OWNERS)), "NotServed")
      yield* local.listen(path)
      assert.strictEqual(yield* reasonOf(local.connect(path, [4_000_000])), "WrongOwner")
      assert.strictEqual(yield* reasonOf(local.connect(`/${"x".repeat(200)}`, OWNERS)), "PathTooLong")
      assert.strictEqual(yield* reasonOf(local.listen("/proc/nothing/pilot.sock")), "DirectoryUnusable")
    }))
})
