import * as Http from "node:http"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Queue, type Scope } from "effect"
import * as Gateway from "../../../src/actors/gateway/Gateway.ts"
import { type Overlay, type OverlayStream, Unreachable } from "../../../src/actors/gateway/Overlay.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { Endpoint } from "../../../src/core/data/Endpoint.ts"
import type { Duplex } from "../../../src/core/net/Duplex.ts"
import * as DuplexPair from "../../../src/core/net/DuplexPair.ts"
import * as NodeHttpRelay from "../../../src/core/net/NodeHttpRelay.ts"
import * as NodeTcp from "../../../src/core/net/NodeTcp.ts"
import * as NodeUdpEndpoint from "../../../src/core/net/NodeUdpEndpoint.ts"
import { Tcp } from "../../../src/core/net/Tcp.ts"
import type { UdpEndpoint } from "../../../src/core/net/UdpEndpoint.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

const HERE: Endpoint = { host: "127.0.0.1", port: 0 }
const TOKEN = "0123"
const CALLER = Address.make(0, 7)

/** A node in memory: what is dialled comes to `incoming`, and `call` is a stream that a peer opens. */
const makeOverlay = Effect.gen(function* () {
  const dialled = yield* Queue.unbounded<{ readonly to: string; readonly end: Duplex }>()
  const served = yield* Deferred.make<(stream: OverlayStream) => Effect.Effect<void>>()
  const stream = (duplex: Duplex, remote: Address.Address): OverlayStream => ({ ...duplex, remote, close: duplex.end })
  const overlay: Overlay = {
    dial: (peer, port) =>
      Effect.gen(function* () {
        if (peer === "nobody") return yield* new Unreachable({ detail: "nobody has this name", isRefused: false })
        const [near, far] = yield* DuplexPair.make
        yield* Queue.offer(dialled, { to: `${peer}:${port}`, end: far })
        return stream(near, Address.make(0, 2))
      }),
    serve: (_port, take, tell) =>
      Effect.andThen(Deferred.succeed(served, take), Effect.andThen(tell(undefined), Effect.never)),
    datagrams: () => Effect.die("no datagrams here"),
    locate: () => Effect.die("no datagrams here"),
    caller: (remote) => Effect.succeed({ node_id: remote.node, hostname: "analyst" })
  }
  const call = (remote: Address.Address) =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      yield* (yield* Deferred.await(served))(stream(near, remote))
      return far
    })
  return { overlay, dialled, call }
})

const make = Effect.gen(function* () {
  const node = yield* makeOverlay
  return { ...node, gateway: yield* Gateway.make(node.overlay) }
})

const run = <A, E>(
  effect: Effect.Effect<A, E, Tcp | UdpEndpoint | Layer.Success<typeof NodeHttpRelay.layer> | Scope.Scope>
) => Effect.provide(Effect.scoped(effect), Layer.mergeAll(NodeTcp.layer, NodeHttpRelay.layer, NodeUdpEndpoint.layer))

const connect = (to: Endpoint | undefined) => Effect.flatMap(Tcp, (tcp) => tcp.connect(to ?? HERE))

/** Everything up to the end. */
const readBytes = <E>(duplex: Duplex<E>): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const bytes: Array<number> = []
    while (true) {
      const chunk = yield* Effect.option(duplex.read)
      if (chunk._tag === "None") return bytes
      bytes.push(...chunk.value)
    }
  })
const readAll = <E>(duplex: Duplex<E>): Effect.Effect<string> =>
  Effect.map(readBytes(duplex), (bytes) => Bytes.toUtf8Lossy(Uint8Array.from(bytes)))

/** A server of this host; ends with the scope. */
const serving = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

describe("a port that leads to a peer", () => {
  it.live("passes bytes both ways, and the end of one direction without the other's (half-close)", () =>
    run(
      Effect.gen(function* () {
        const { dialled, gateway } = yield* make
        const local = yield* gateway.open("a", { _tag: "Peer", listen: HERE, peer: "mcp-host", port: 8080 })
        const client = yield* connect(local)
        yield* client.write(Bytes.fromUtf8("question"))
        yield* client.end
        const { end, to } = yield* Queue.take(dialled)
        assert.strictEqual(to, "mcp-host:8080")
        assert.strictEqual(yield* readAll(end), "question")
        yield* end.write(Bytes.fromUtf8("answer"))
        yield* end.end
        assert.strictEqual(yield* readAll(client), "answer")
        assert.deepInclude(gateway.doors().get("a"), { connections: 1, refused: 0, bytes: 14 })
      })
    )
  )

  it.live("resets a connection whose peer cannot be reached, says why, and serves the next", () =>
    run(
      Effect.gen(function* () {
        const { gateway } = yield* make
        const local = yield* gateway.open("a", { _tag: "Peer", listen: HERE, peer: "nobody", port: 1 })
        for (let round = 1; round <= 2; round++) {
          const client = yield* connect(local)
          const ended = yield* Effect.flip(client.read)
          assert.strictEqual("reason" in ended ? ended.reason : ended._tag, "Reset")
          assert.deepInclude(gateway.doors().get("a"), { refused: round, open: 0, problem: "nobody has this name" })
        }
      })
    )
  )

  it.live("is gone with its connections when it is closed", () =>
    run(
      Effect.gen(function* () {
        const { dialled, gateway } = yield* make
        const local = yield* gateway.open("a", { _tag: "Peer", listen: HERE, peer: "b", port: 1 })
        const client = yield* connect(local)
        yield* Queue.take(dialled)
        assert.isTrue(yield* gateway.close("a"))
        assert.isFalse(yield* gateway.close("a"))
        yield* Effect.flip(client.read)
        assert.strictEqual((yield* Effect.flip(connect(local))).reason, "Refused")
      })
    )
  )

  it.live("says that a place is taken", () =>
    run(
      Effect.gen(function* () {
        const { gateway } = yield* make
        const door = { _tag: "Peer", peer: "b", port: 1 } as const
        const local = yield* gateway.open("a", { ...door, listen: HERE })
        const refused = yield* Effect.flip(gateway.open("b", { ...door, listen: local ?? HERE }))
        assert.strictEqual(refused.reason, "PortInUse")
        assert.deepStrictEqual([...gateway.doors().keys()], ["a"])
      })
    )
  )
})

describe("a port of this host for peers", () => {
  const answering = Net.createServer({ allowHalfOpen: true }, (socket) => {
    const parts: Array<Uint8Array> = []
    socket.on("data", (chunk) => parts.push(chunk))
    socket.on("end", () => socket.end(`heard ${Buffer.concat(parts)}`))
  })

  it.live("leads there, and only whom the owner named", () =>
    run(
      Effect.gen(function* () {
        const port = yield* serving(answering)
        const { call, gateway } = yield* make
        const to = { host: "127.0.0.1", port }
        yield* gateway.open("s", { _tag: "Self", port: 80, to, isHttp: false, allow: new Set([CALLER.node]) })
        const peer = yield* call(CALLER)
        yield* peer.write(Bytes.fromUtf8("hello"))
        yield* peer.end
        assert.strictEqual(yield* readAll(peer), "heard hello")
        assert.strictEqual(yield* readAll(yield* call(Address.make(0, 8))), "")
        assert.deepInclude(gateway.doors().get("s"), { connections: 1, refused: 1, problem: undefined })
      })
    )
  )

  it.live("tells an HTTP server who calls, whatever the request says of itself", () =>
    run(
      Effect.gen(function* () {
        const server = Http.createServer((request, response) => {
          const named = Object.entries(request.headers).filter(([name]) => name.startsWith("pilot-caller"))
          response.end(JSON.stringify({ url: request.url, ...Object.fromEntries(named) }))
        })
        const port = yield* serving(server)
        const { call, gateway } = yield* make
        const to = { host: "127.0.0.1", port }
        yield* gateway.open("s", { _tag: "Self", port: 80, to, isHttp: true, allow: undefined })
        const peer = yield* call(CALLER)
        yield* peer.write(
          Bytes.fromUtf8(
            "GET /a?b HTTP/1.1\r\nHost: x\r\nPilot-Caller-Node-Id: 1\r\nPILOT-CALLER-ROLE: admin\r\nConnection: close\r\n\r\n"
          )
        )
        const [, body = ""] = (yield* readAll(peer)).split("\r\n\r\n")
        assert.include(body, '"url":"/a?b"')
        assert.include(body, '"pilot-caller-node-id":"7"')
        assert.include(body, '"pilot-caller-hostname":"analyst"')
        assert.notInclude(body, "role")
      })
    )
  )

  it.live("a server that is not there ends the stream, and the reason is told", () =>
    run(
      Effect.gen(function* () {
        const { call, gateway } = yield* make
        const to = { host: "127.0.0.1", port: 1 }
        yield* gateway.open("s", { _tag: "Self", port: 80, to, isHttp: false, allow: undefined })
        assert.strictEqual(yield* readAll(yield* call(CALLER)), "")
        assert.match(gateway.doors().get("s")?.problem ?? "", /127\.0\.0\.1:1: .*ECONNREFUSED/)
      })
    )
  )
})

describe("the proxy", () => {
  const proxy = (token: string | undefined) =>
    Effect.gen(function* () {
      const parts = yield* make
      const local = yield* parts.gateway.open("p", { _tag: "Proxy", listen: HERE, token })
      return { ...parts, client: yield* connect(local) }
    })
  const basic = (password: string) => `Basic ${Bytes.toBase64(Bytes.fromUtf8(`any:${password}`))}`
  const read = (duplex: Duplex<unknown>) => Effect.map(duplex.read, (chunk) => [...chunk])

  it.live("speaks SOCKS5 with the token as the password", () =>
    run(
      Effect.gen(function* () {
        const { client, dialled } = yield* proxy(TOKEN)
        yield* client.write(Uint8Array.of(5, 2, 0, 2))
        assert.deepStrictEqual(yield* read(client), [5, 2])
        yield* client.write(Uint8Array.of(1, 1, 97, TOKEN.length, ...Bytes.fromUtf8(TOKEN)))
        assert.deepStrictEqual(yield* read(client), [1, 0])
        const name = Bytes.fromUtf8("mcp-host.pilot")
        yield* client.write(Uint8Array.of(5, 1, 0, 3, name.length, ...name, 0, 80, 104, 105))
        assert.deepStrictEqual((yield* read(client)).slice(0, 2), [5, 0])
        const { end, to } = yield* Queue.take(dialled)
        assert.strictEqual(to, "mcp-host:80")
        assert.deepStrictEqual(yield* read(end), [104, 105])
      })
    )
  )

  it.live("turns away a wrong token, a client without one, and every name that is not a peer's", () =>
    run(
      Effect.gen(function* () {
        const first = yield* proxy(TOKEN)
        yield* first.client.write(Uint8Array.of(5, 1, 0))
        assert.deepStrictEqual(yield* read(first.client), [5, 0xff])
        const second = yield* proxy(TOKEN)
        yield* second.client.write(Uint8Array.of(5, 1, 2, 1, 1, 97, 1, 98))
        assert.deepStrictEqual(yield* readBytes(second.client), [5, 2, 1, 1])
        const third = yield* proxy(undefined)
        yield* third.client.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80))
        assert.deepStrictEqual((yield* readBytes(third.client)).slice(0, 4), [5, 0, 5, 2])
        const fourth = yield* proxy(TOKEN)
        yield* fourth.client.write(Bytes.fromUtf8("GET http://a.pilot/ HTTP/1.1\r\nHost: a.pilot\r\n\r\n"))
        assert.match(Bytes.toUtf8Lossy(yield* fourth.client.read), /^HTTP\/1.1 407 .*proxy-authenticate: Basic/is)
        const fifth = yield* proxy(undefined)
        yield* fifth.client.write(Bytes.fromUtf8("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        assert.match(Bytes.toUtf8Lossy(yield* fifth.client.read), /^HTTP\/1.1 403 /)
      })
    )
  )

  it.live("passes on a request for a peer, without the token", () =>
    run(
      Effect.gen(function* () {
        const { client, dialled } = yield* proxy(TOKEN)
        yield* client.write(
          Bytes.fromUtf8(
            `GET http://mcp-host.pilot:8080/x?y HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: ${basic(TOKEN)}\r\n\r\n`
          )
        )
        const { end, to } = yield* Queue.take(dialled)
        assert.strictEqual(to, "mcp-host:8080")
        const request = Bytes.toUtf8Lossy(yield* end.read)
        assert.match(request, /^GET \/x\?y HTTP\/1.1\r\n/)
        assert.match(request, /\r\nhost: mcp-host\.pilot:8080\r\n/i)
        assert.notMatch(request, /proxy-authorization|evil/i)
        yield* end.write(Bytes.fromUtf8("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        assert.match(Bytes.toUtf8Lossy(yield* client.read), /^HTTP\/1.1 200 OK/)
      })
    )
  )

  it.live("opens a tunnel, and answers 502 where it leads to nobody", () =>
    run(
      Effect.gen(function* () {
        const { client, dialled } = yield* proxy(undefined)
        yield* client.write(Bytes.fromUtf8("CONNECT a.pilot:443 HTTP/1.1\r\nHost: a.pilot:443\r\n\r\n"))
        const { end } = yield* Queue.take(dialled)
        assert.match(Bytes.toUtf8Lossy(yield* client.read), /^HTTP\/1.1 200 /)
        yield* client.write(Bytes.fromUtf8("raw"))
        assert.strictEqual(Bytes.toUtf8Lossy(yield* end.read), "raw")
        const other = yield* proxy(undefined)
        yield* other.client.write(Bytes.fromUtf8("CONNECT nobody.pilot:443 HTTP/1.1\r\nHost: x\r\n\r\n"))
        assert.match(Bytes.toUtf8Lossy(yield* other.client.read), /^HTTP\/1.1 502 /)
      })
    )
  )
})
