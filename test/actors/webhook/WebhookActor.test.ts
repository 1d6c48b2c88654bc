import { createHmac } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, FileSystem, Latch, Layer, Path, Scope } from "effect"
import * as WebhookActor from "../../../src/actors/webhook/WebhookActor.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { type Post, PostError, WebhookPost } from "../../../src/core/net/WebhookPost.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as MemoryDisk from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const URL_A = "http://hooks.example.org/a"
const SECRET = Bytes.fromUtf8("5".repeat(64))
const published = (topic: string) => ({ _tag: "EventPublished", topic, sizeBytes: 1, from: "x:1" }) as const

/** A webhook whose receiver answers as told; `start` gives the next life on the same disk. */
const stage = Effect.gen(function* () {
  const disk = new MemoryDisk.MemoryDisk()
  const posts: Array<Post> = []
  const receiver = { status: 200, isAway: false, answers: Latch.makeUnsafe(true) }
  const virtual = VirtualFileSystem.make(disk, () => true)
  const rename = Latch.makeUnsafe(true)
  const outer = yield* Effect.scope
  const services = Context.make(FileSystem.FileSystem, {
    ...virtual,
    rename: (from: string, to: string) => Effect.andThen(rename.await, virtual.rename(from, to))
  }).pipe(
    Context.add(Path.Path, Context.get(yield* Layer.build(Path.layer), Path.Path)),
    Context.add(Crypto, NativeCrypto.crypto),
    Context.add(WebhookPost, {
      post: (post) =>
        Effect.suspend(() => {
          posts.push(post)
          return receiver.isAway
            ? Effect.fail(new PostError({ reason: "NotConnected", detail: "nobody there" }))
            : Effect.andThen(
                receiver.answers.await,
                Effect.sync(() => ({ status: receiver.status }))
              )
        })
    })
  )
  const start = Effect.fnUntraced(function* (url = URL_A) {
    const scope = yield* Scope.fork(outer)
    const options = { url, allowed: [], secret: SECRET, deadLetters: "/webhook-dead.jsonl" }
    const running = yield* WebhookActor.spawn(options).pipe(Effect.provideContext(services), Scope.provide(scope))
    running.report({ _tag: "NodeReregistered", address: Address.make(0, 7) })
    return { ...running, stop: Scope.close(scope, Exit.void) }
  })
  const topics = () => posts.map(({ body }) => JSON.parse(body).data.topic ?? JSON.parse(body).event)
  return { posts, receiver, rename, start, topics }
})

/** Two seconds, in steps in which chains of messages have their turns. */
const pass = () => TrustStation.pass(20)
const TEN_MINUTES = TrustStation.pass(6_000)

describe("WebhookActor", () => {
  it.effect("posts each event once, in order, signed over time and body", () =>
    Effect.gen(function* () {
      const { posts, start, topics } = yield* stage
      const { report, webhooks } = yield* start()
      report(published("a"))
      report({ _tag: "PacketDropped", reason: "Malformed" })
      report(published("b"))
      yield* pass()

      assert.deepStrictEqual(topics(), ["node.reregistered", "a", "b"])
      const { body, headers } = posts[1]!
      assert.deepInclude(JSON.parse(body), { event: "pubsub.published", node_id: 7 })
      assert.match(body, /"timestamp":"1970-01-01T00:00:00(\.\d+)?Z"/)
      const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["X-Pilot-Signature"]!)!
      assert.strictEqual(signature, createHmac("sha256", "5".repeat(64)).update(`${time}.${body}`).digest("hex"))
      assert.strictEqual(headers["Content-Type"], "application/json")
      assert.deepInclude(yield* webhooks.status, { url: URL_A, waiting: 0, delivered: 3, dead: 0 })
    })
  )

  it.effect("tries again with the same id, gives up after two minutes, keeps the letter, and sends it when told", () =>
    Effect.gen(function* () {
      const { posts, receiver, start, topics } = yield* stage
      const first = yield* start()
      yield* pass()
      receiver.status = 503
      first.report(published("a"))
      first.report(published("b"))
      yield* TEN_MINUTES

      const tries = posts.filter(({ body }) => body.includes('"a"'))
      assert.strictEqual(tries.length, 8)
      assert.strictEqual(new Set(tries.map(({ headers }) => headers["X-Pilot-Delivery"])).size, 1)
      assert.deepStrictEqual(
        tries.map(({ headers }) => headers["X-Pilot-Attempt"]),
        ["1", "2", "3", "4", "5", "6", "7", "8"]
      )
      assert.strictEqual(posts.filter(({ body }) => body.includes('"b"')).length, 1)
      yield* first.stop
      const second = yield* start()
      receiver.status = 204
      const dead = yield* second.webhooks.dead
      assert.deepStrictEqual(
        dead.map(({ attempts, reason }) => [attempts, reason]),
        [
          [8, "HTTP 503"],
          [1, "HTTP 503"]
        ]
      )
      yield* pass()
      posts.length = 0
      assert.strictEqual(yield* second.webhooks.retry(dead[1]!.id), 1)
      yield* pass()
      assert.deepStrictEqual(topics(), ["b"])
      assert.strictEqual(yield* second.webhooks.drop("nobody"), 0)
      assert.strictEqual(yield* second.webhooks.drop(), 1)
      assert.deepStrictEqual(yield* second.webhooks.dead, [])
    })
  )

  it.effect("follows no redirect", () =>
    Effect.gen(function* () {
      const { posts, receiver, start } = yield* stage
      receiver.status = 302
      const { webhooks } = yield* start()
      yield* TEN_MINUTES

      assert.isTrue(posts.every(({ url }) => url === URL_A))
      assert.include((yield* webhooks.dead)[0]!.reason, "redirects")
    })
  )

  it.effect("asks of every address whether it may go there", () =>
    Effect.gen(function* () {
      const { posts, start } = yield* stage
      yield* start()
      yield* pass()

      assert.isTrue(posts[0]!.admits("8.8.8.8"))
      assert.isFalse(posts[0]!.admits("127.0.0.1"))
      assert.isFalse(posts[0]!.admits("169.254.169.254"))
    })
  )

  it.effect("another URL counts from the next event on, and what waits still goes where it was to go", () =>
    Effect.gen(function* () {
      const { posts, receiver, start } = yield* stage
      const { report, webhooks } = yield* start()
      yield* pass()
      receiver.isAway = true
      report(published("a"))
      yield* pass()
      yield* webhooks.set("http://hooks.example.org/b")
      report(published("b"))
      receiver.isAway = false
      posts.length = 0
      yield* TrustStation.pass(100)

      assert.deepStrictEqual(
        posts.map(({ body, url }) => [JSON.parse(body).data.topic, url]),
        [
          ["a", URL_A],
          ["b", "http://hooks.example.org/b"]
        ]
      )
      yield* webhooks.set("")
      report(published("c"))
      yield* pass()
      assert.strictEqual(posts.length, 2)
      assert.include((yield* Effect.flip(webhooks.set("file:///etc/passwd"))).detail, "must start with http")
    })
  )

  it.effect("the end of the node gives what waits one try, and keeps the rest", () =>
    Effect.gen(function* () {
      const { receiver, start, topics } = yield* stage
      const first = yield* start()
      yield* pass()
      first.report(published("last"))
      yield* first.stop
      assert.include(topics(), "last")

      const second = yield* start()
      yield* pass()
      receiver.isAway = true
      second.report(published("kept"))
      second.report(published("too"))
      yield* second.stop
      const third = yield* start("")
      assert.deepStrictEqual(
        (yield* third.webhooks.dead).map(({ body }) => JSON.parse(body).data.topic),
        ["kept", "too"]
      )
    })
  )

  it.effect("without a URL nothing is kept and nothing is sent", () =>
    Effect.gen(function* () {
      const { posts, start } = yield* stage
      const { report, webhooks } = yield* start("")
      for (let count = 0; count < 5_000; count++) report(published("a"))
      yield* pass()

      assert.strictEqual(posts.length, 0)
      assert.deepInclude(yield* webhooks.status, { url: "", waiting: 0, dead: 0 })
    })
  )

  it.effect("hears how a request ended however much happens while the disk is slow", () =>
    Effect.gen(function* () {
      const { receiver, rename, start, topics } = yield* stage
      const { report, webhooks } = yield* start()
      receiver.status = 503
      report(published("given up"))
      yield* TEN_MINUTES
      receiver.status = 200
      receiver.answers.closeUnsafe()
      report(published("under way"))
      yield* pass()
      rename.closeUnsafe()
      assert.isAbove(yield* webhooks.drop(), 0)
      yield* pass()
      for (let count = 0; count < 2_000; count++) report(published("burst"))
      yield* receiver.answers.open
      yield* pass()
      yield* rename.open
      yield* TrustStation.pass(1_200)

      assert.include(topics(), "burst")
      assert.strictEqual((yield* webhooks.status).waiting, 0)
    })
  )
})
