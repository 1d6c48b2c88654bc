/** What the kernel makes of our datagrams, on hosts of their own behind a router (architecture, decision 7). */
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Namespaces from "./Namespaces.ts"

const NODE = fileURLToPath(new URL("SizeNode.ts", import.meta.url))
/** Reports go through the router as well as data. */
const HOSTS = ["a", "b", "router"] as const

type Net = Effect.Success<ReturnType<typeof Namespaces.make>>

const fragments = Effect.fnUntraced(function* (net: Net) {
  const counts = yield* Effect.forEach(HOSTS, (name) => net[name].count("Ip", "FragCreates"))
  return counts.reduce((sum, count) => sum + count, 0)
})

/** A stream from one address to another until its datagrams have the size; how many there were of each. */
const sizesOf = Effect.fnUntraced(function* (
  [from, fromIp]: readonly [Namespaces.Host, string],
  [to, toIp]: readonly [Namespaces.Host, string],
  size: number
) {
  const server = yield* to.start(process.execPath, NODE, "serve", toIp, fromIp)
  yield* Namespaces.saidSomething(server)
  const client = yield* from.start(process.execPath, NODE, "send", fromIp, toIp, String(size))
  const sizes: ReadonlyArray<readonly [number, number]> = JSON.parse(yield* Namespaces.saidSomething(client))
  return new Map(sizes)
}, Effect.scoped)

const largest = (sizes: ReadonlyMap<number, number>): number => Math.max(...sizes.keys())

/** Whoever develops elsewhere has no such hosts; on machines that decide, a missing one is a failure. */
const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

describe.skipIf(!isPossible)("fragments made by the kernel (needs Linux, root, iproute2)", () => {
  it.live("none on a path of Ethernet, whose datagrams are filled", () =>
    Effect.gen(function* () {
      const net = yield* Namespaces.make([1500, 1500])
      const sizes = yield* sizesOf([net.a, net.a.ip], [net.b, net.b.ip], 1472)

      assert.strictEqual(largest(sizes), 1472)
      assert.strictEqual(yield* fragments(net), 0)
    }).pipe(Effect.scoped)
  )

  it.live("none where a router takes less and says so: one probe is lost, and nothing of its size follows", () =>
    Effect.gen(function* () {
      const net = yield* Namespaces.make([1500, 1400])
      const sizes = yield* sizesOf([net.a, net.a.ip], [net.b, net.b.ip], 1372)

      assert.deepStrictEqual(
        [...sizes].filter(([size]) => size > 1372),
        [[1392, 1]]
      )
      assert.isAbove(yield* net.a.count("Icmp", "InDestUnreachs"), 0)
      assert.strictEqual(yield* fragments(net), 0)
    }).pipe(Effect.scoped)
  )

  it.live("none where the interface itself takes less, and jumbo frames are used where it takes more", () =>
    Effect.gen(function* () {
      for (const mtu of [1280, 9000]) {
        const net = yield* Namespaces.make([mtu, mtu])
        const sizes = yield* sizesOf([net.a, net.a.ip], [net.b, net.b.ip], mtu - 28)

        assert.strictEqual(largest(sizes), mtu - 28)
        assert.strictEqual(yield* fragments(net), 0)
      }
    }).pipe(Effect.scoped)
  )

  it.live("none on the loopback, at the largest size that UDP has", () =>
    Effect.gen(function* () {
      const net = yield* Namespaces.make([1500, 1500])
      const sizes = yield* sizesOf([net.a, "127.0.0.1"], [net.a, "127.0.0.1"], 65_507)

      assert.strictEqual(largest(sizes), 65_507)
      assert.strictEqual(yield* fragments(net), 0)
    }).pipe(Effect.scoped)
  )

  it.live("are counted when there are any", () =>
    Effect.gen(function* () {
      const net = yield* Namespaces.make([1500, 1500])
      const script = `const s = require("node:dgram").createSocket("udp4")
        s.send(Buffer.alloc(3000), 4000, "${net.b.ip}", () => s.close())`
      yield* net.a.run(process.execPath, "-e", script)

      assert.strictEqual(yield* fragments(net), 3)
    }).pipe(Effect.scoped)
  )
})
