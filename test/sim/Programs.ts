/** Programs as users write them, for simulated nodes: they see a `Pilot` and nothing of the simulation. */
import { Effect, Stream } from "effect"
import type { Connection } from "../../src/api/Connection.ts"
import * as Pilot from "../../src/api/Pilot.ts"

/** Sends back what it gets, on every connection, for ever. */
export const serveEcho = (port: number) =>
  Pilot.listen(port).pipe(
    Stream.mapEffect(
      (connection) => Effect.ignore(Stream.runForEach(connection.readable, (chunk) => connection.write(chunk))),
      { concurrency: "unbounded" }
    ),
    Stream.runDrain
  )

/** Sends bytes to an echo and returns what came back, all of it, on one connection. */
export const echo = Effect.fnUntraced(function* (target: string, port: number, bytes: Uint8Array) {
  const connection = yield* Pilot.dial(target, port)
  yield* Effect.forkScoped(Effect.ignore(connection.write(bytes)))
  return yield* readBytes(connection, bytes.length)
}, Effect.scoped)

/** Reads whatever comes to its end, on every connection, for ever. */
export const serveSink = (port: number) =>
  Pilot.listen(port).pipe(
    Stream.mapEffect((connection) => Effect.ignore(Stream.runDrain(connection.readable)), { concurrency: "unbounded" }),
    Stream.runDrain
  )

/** Writes all of it, and ends: what was accepted must arrive. */
export const push = Effect.fnUntraced(function* (target: string, port: number, bytes: Uint8Array) {
  const connection = yield* Pilot.dial(target, port)
  yield* connection.write(bytes)
  yield* connection.close
}, Effect.scoped)

/** The next so many bytes of a connection, or fewer when it ends. */
export const readBytes = Effect.fnUntraced(function* (connection: Connection, sizeBytes: number) {
  const received = new Uint8Array(sizeBytes)
  let at = 0
  while (at < sizeBytes) {
    const chunk = yield* Effect.catchTag(connection.duplex.read, "Done", () => Effect.void)
    if (chunk === undefined) break
    received.set(chunk.subarray(0, sizeBytes - at), at)
    at = Math.min(sizeBytes, at + chunk.length)
  }
  return received.subarray(0, at)
})

/** Bytes that no shift of themselves equals, the same for the same arguments. */
export const payload = (sizeBytes: number, salt: number): Uint8Array => {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  for (const index of words.keys()) words[index] = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)
  return new Uint8Array(words.buffer, 0, sizeBytes)
}
