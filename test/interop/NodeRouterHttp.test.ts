import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NodeRouterHttp from "../../src/core/net/NodeRouterHttp.ts"
import { BODY_BYTES_MAX } from "../../src/core/net/RouterHttp.ts"

/** What a router on the loopback answers. */
const asked = Effect.fnUntraced(function* (listener: RequestListener, body?: string) {
  const server = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const created = createServer(listener).listen(0, "127.0.0.1")
      await once(created, "listening")
      return created
    }),
    (created) => Effect.sync(() => void created.close())
  )
  const { port } = server.address() as AddressInfo
  return yield* Effect.result(
    NodeRouterHttp.ask({ host: "127.0.0.1", port, path: "/x", ...(body === undefined ? {} : { body }) })
  )
}, Effect.scoped)

describe("NodeRouterHttp", () => {
  it.live("asks, and posts where there is a body", () =>
    Effect.gen(function* () {
      const answer = yield* asked((request, response) => {
        request.on("data", (chunk) => response.end(`${request.method} ${request.url} ${chunk}`))
      }, "body")

      assert.deepStrictEqual(answer._tag === "Success" && answer.success, { status: 200, text: "POST /x body" })
    })
  )

  it.live("does not follow a redirect, and takes no more than its bound", () =>
    Effect.gen(function* () {
      const moved = yield* asked((_request, response) => response.writeHead(302, { location: "/elsewhere" }).end())
      const large = yield* asked((_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write("x".repeat(8_192)));
        }
        response.on("drain", more)
        more()
      })

      assert.strictEqual(moved._tag === "Success" && moved.success.status, 302)
      assert.strictEqual(large._tag === "Failure" && large.failure.detail, `more than ${BODY_BYTES_MAX} bytes`)
    })
  )
})
