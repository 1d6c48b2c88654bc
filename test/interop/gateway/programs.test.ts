import * as Http from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Postgres from "../../support/Postgres.ts"
import * as Hosts from "./Hosts.ts"

const PAGE = "<p>page</p><script src=/script.js></script>"
const SCRIPT = "document.querySelector('p').textContent = 'script of ' + location.host"

describe.skipIf(!Hosts.isPossible)(
  "other people's programs through the gateway (needs Linux, root, PostgreSQL, Chromium)",
  () => {
    it.live(
      "psql copies and pgbench runs its transactions on a database of a peer",
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const { agent, host, network } = yield* Hosts.make
            const port = yield* Postgres.start(network.directory)
            yield* Hosts.gateway(host, "--ports", `${port}`, "self")
            const here = yield* Hosts.gateway(agent, "--map", `127.0.0.1:0=mcp-host:${port}`)
            const [, local = ""] = Hosts.placeOf(here, "overlay_port").split(":")
            const to = ["-h", "127.0.0.1", "-p", local, "-U", "postgres"]

            const copied = yield* Hosts.run(
              ...(["psql", ...to, "-qtAc"] as const),
              "create table t as select i, repeat('x', 100) from generate_series(1, 50000) i; copy t to stdout"
            )
            assert.strictEqual(copied.trim().split("\n").length, 50_000)
            yield* Hosts.run("pgbench", ...to, "-i", "-q", "postgres")
            const report = yield* Hosts.run("pgbench", ...to, "-c", "10", "-t", "20", "-n", "postgres")
            assert.include(report, "number of transactions actually processed: 200/200")
            assert.include(report, "number of failed transactions: 0")
          })
        ),
      120_000
    )

    it.live(
      "a browser opens http://mcp-host.pilot through the proxy, its parts too",
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const { agent, host, network } = yield* Hosts.make
            const site = Http.createServer((request, response) => {
              const isScript = request.url === "/script.js"
              response
                .setHeader("content-type", isScript ? "text/javascript" : "text/html")
                .end(isScript ? SCRIPT : PAGE)
            })
            const port = yield* Hosts.serve(site)
            yield* Hosts.gateway(host, "--ports", `${port}`, "self")
            const here = yield* Hosts.gateway(agent, "--proxy", "127.0.0.1:0", "--no-token")
            const page = yield* Hosts.run(
              "chromium",
              ...["--headless=new", "--no-sandbox", "--disable-gpu", `--user-data-dir=${network.directory}/browser`],
              ...[`--proxy-server=${Hosts.placeOf(here, "proxy")}`, "--virtual-time-budget=5000", "--dump-dom"],
              `http://mcp-host.pilot:${port}/`
            )
            assert.include(page, `<p>script of mcp-host.pilot:${port}</p>`)
          })
        ),
      90_000
    )
  }
)
