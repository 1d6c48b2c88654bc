import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NodeWebhookPost from "../../src/core/net/NodeWebhookPost.ts"
import { type Post, WebhookPost } from "../../src/core/net/WebhookPost.ts"

/** A server that notes what it is sent, and answers by path: `/200`, `/302`, `/never`. */
const server = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly seen: Array<string>; readonly close: () => void }>((resume) => {
    const seen: Array<string> = []
    const http = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on("end", () => {
        seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers["x-a"]} ${body}`)
        if (request.url === "/never") return
        const location = request.url === "/302" ? { Location: "/200" } : {}
        response.writeHead(Number(request.url?.slice(1)), location).end("x".repeat(100_000))
      })
    })
    http.listen(0, "127.0.0.1", () => {
      const { port } = http.address() as AddressInfo
      const close = () => {
        http.closeAllConnections()
        http.close()
      }
      resume(Effect.succeed({ port, seen, close }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

const post = (url: string, options: Partial<Post> = {}) =>
  Effect.provide(
    Effect.flatMap(WebhookPost, (service) =>
      service.post({ url, headers: { "X-A": "1" }, body: "{}", timeoutMs: 5_000, admits: () => true, ...options })
    ),
    NodeWebhookPost.layer
  )

/** Where the server is, whatever else the name leads to. */
const V4 = { admits: (address: string) => address === "127.0.0.1" }

describe("NodeWebhookPost", () => {
  it.live("posts, reads the status and nothing else, and goes after no redirect", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* server
      const base = `http://localhost:${port}`

      assert.deepStrictEqual(yield* post(`${base}/200`, V4), { status: 200 })
      assert.deepStrictEqual(yield* post(`${base}/302`, V4), { status: 302 })
      assert.deepStrictEqual(seen, [`POST /200 localhost:${port} 1 {}`, `POST /302 localhost:${port} 1 {}`])
    })
  )

  it.live("connects to no address that is not admitted, literal or looked up", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* server
      const asked: Array<string> = []
      const admits = (address: string) => {
        asked.push(address)
        return false
      }

      for (const host of ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"]) {
        const refused = yield* Effect.flip(post(`http://${host}:${port}/200`, { admits }))
        assert.strictEqual(refused.reason, "NotAllowed", host)
      }
      assert.include(asked, "127.0.0.1")
      assert.deepStrictEqual(seen, [])
    })
  )

  it.live("says why nobody answered", () =>
    Effect.gen(function* () {
      const { close, port } = yield* server

      const late = yield* Effect.flip(post(`http://127.0.0.1:${port}/never`, { timeoutMs: 50 }))
      assert.strictEqual(late.reason, "Timeout")
      close()
      const away = yield* Effect.flip(post(`http://127.0.0.1:${port}/200`))
      assert.strictEqual(away.reason, "NotConnected")
      const unknown = yield* Effect.flip(post("http://nobody.invalid/"))
      assert.strictEqual(unknown.reason, "NotFound")
    })
  )
})
