import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { HttpClientRequest, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import * as DuplexPair from "../../../src/core/net/DuplexPair.ts"
import * as NodeHttpOnStreams from "../../../src/core/net/NodeHttpOnStreams.ts"

const Peer = Context.Reference<string>("test/Peer", { defaultValue: () => "nobody" })

const application = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  if (request.url === "/never") return yield* Effect.interruptible(Effect.never)
  const body = yield* request.text
  return HttpServerResponse.jsonUnsafe({ peer: yield* Peer, who: request.headers["who-name"] ?? "", body })
})

/** A client whose streams lead to a server, each as from the peer that is its host. */
const stage = Effect.gen(function* () {
  const { carry, server } = yield* NodeHttpOnStreams.make(NetAddress.unixPathAddress("test"))
  let streams = 0
  const client = yield* NodeHttpOnStreams.client((host) =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      streams++
      const around = { context: Context.make(Peer, host), strip: "who-", headers: { "who-name": host } }
      yield* Effect.forkScoped(carry(far, around))
      return near
    })
  )
  return { client, server, streams: () => streams }
})

describe("NodeHttpOnStreams", () => {
  it.live("serves each stream with what surrounds it; headers of that name are its own; streams are used again", () =>
    Effect.gen(function* () {
      const { client, server, streams } = yield* stage
      yield* server.serve(application)
      const ask = (host: string) =>
        client
          .execute(
            HttpClientRequest.post(`http://${host}/`, { headers: { "Who-Name": "root", "Who-Else": "x" } }).pipe(
              HttpClientRequest.bodyText("hi")
            )
          )
          .pipe(Effect.flatMap((response) => response.json))

      assert.deepStrictEqual(yield* ask("alice"), { peer: "alice", who: "alice", body: "hi" })
      assert.deepStrictEqual(yield* ask("alice"), { peer: "alice", who: "alice", body: "hi" })
      assert.deepStrictEqual(yield* ask("bob"), { peer: "bob", who: "bob", body: "hi" })
      assert.strictEqual(streams(), 2)
    }).pipe(Effect.scoped)
  )

  it.live("a megabyte each way, and an answer that is interrupted", () =>
    Effect.gen(function* () {
      const { client, server } = yield* stage
      yield* server.serve(application)
      const body = "x".repeat(1 << 20)
      const request = HttpClientRequest.post("http://alice/").pipe(HttpClientRequest.bodyText(body))
      const response = yield* client.execute(request)
      assert.include(yield* Stream.mkString(Stream.decodeText(response.stream)), body)

      const never = yield* Effect.exit(Effect.timeout(client.execute(HttpClientRequest.get("http://alice/never")), 20))
      assert.include(String(never), "Timeout")
    }).pipe(Effect.scoped)
  )

  it.live("without an application it says so", () =>
    Effect.gen(function* () {
      const { client } = yield* stage
      const { status } = yield* client.execute(HttpClientRequest.get("http://alice/"))
      assert.strictEqual(status, 503)
    }).pipe(Effect.scoped)
  )
})
