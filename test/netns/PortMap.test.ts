/** A port of a router's outside address, from miniupnpd, on hosts of their own. */
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Namespaces from "./Namespaces.ts"

const NODE = fileURLToPath(new URL("PortMapNode.ts", import.meta.url))

/**
 * The router's outside is private here, so it is told another one; it takes none of those that are reserved for examples. Without
 * `enable_natpmp` it knows neither NAT-PMP nor PCP.
 */
const config = (by: "pcp" | "upnp") => `ext_ifname=near2
ext_ip=11.22.33.44
listening_ip=near1
enable_natpmp=${by === "pcp" ? "yes" : "no"}
enable_upnp=${by === "upnp" ? "yes" : "no"}
secure_mode=yes
uuid=00000000-0000-4000-8000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
`
const TABLE = `table inet filter {
  chain miniupnpd {}
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
}
`

const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

describe.skipIf(!isPossible)("a port from the router (needs Linux, root, miniupnpd)", () => {
  for (const protocol of ["pcp", "upnp"] as const)
    it.live(
      `is got from miniupnpd by ${protocol}, leads here, and is given back at the end`,
      () =>
        Effect.gen(function* () {
          const directory = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync(join(tmpdir(), "pilot-port-map-"))),
            (path) => Effect.sync(() => rmSync(path, { recursive: true }))
          )
          writeFileSync(`${directory}/conf`, config(protocol))
          writeFileSync(`${directory}/nft`, TABLE)
          const net = yield* Namespaces.make([1500, 1500])
          yield* net.router.run("nft", "-f", `${directory}/nft`)
          const router = yield* net.router.start(
            ...["sh", "-c", `exec miniupnpd -d -f ${directory}/conf -P ${directory}/pid 2>&1`]
          )
          yield* Namespaces.saidSomething(router)

          const node = yield* net.a.start(process.execPath, NODE, "4000")
          const mapping: unknown = JSON.parse(yield* Namespaces.saidSomething(node))
          assert.deepStrictEqual(mapping, { protocol, external: { host: "11.22.33.44", port: 4000 } })
          const rules = net.router.run("nft", "list", "ruleset")
          assert.include(yield* rules, `dnat ip to ${net.a.ip}:4000`)

          const exited = once(node, "exit")
          node.kill("SIGTERM")
          yield* Effect.promise(() => exited)
          assert.notInclude(yield* rules, "dnat")
        }).pipe(Effect.scoped),
      30_000
    )
})
