import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import * as NodeTelemetry from "../../../src/core/net/NodeTelemetry.ts"

/** A collector that takes whatever is sent to it. */
const collector = Effect.gen(function* () {
  const received = yield* Queue.unbounded<{ readonly path: string; readonly body: string }>()
  const server = createServer((request, response) => {
    const parts: Array<Uint8Array> = []
    request.on("data", (part: Uint8Array) => parts.push(part))
    request.on("end", () => {
      Queue.offerUnsafe(received, { path: request.url ?? "", body: Buffer.concat(parts).toString() })
      response.end("{}")
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )
  return { received, url: `http://127.0.0.1:${port}/` }
})

describe("NodeTelemetry", () => {
  it.live("a span reaches a collector over HTTP, with the service's name, at the latest when the program ends", () =>
    Effect.gen(function* () {
      const { received, url } = yield* collector

      yield* Effect.withSpan(Effect.void, "tools/call add").pipe(
        Effect.provide(NodeTelemetry.layer("pilot-mount", url))
      )

      const { body, path } = yield* Queue.take(received)
      assert.strictEqual(path, "/v1/traces")
      assert.include(body, '"tools/call add"')
      assert.include(body, '"pilot-mount"')
    })
  )
})
