/** `pilotctl gateway`: TCP and UDP between this host and peers (cli §11, node §7). */
import { Effect, Schedule } from "effect"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import { Processes } from "../Processes.ts"
import * as Render from "../Render.ts"
import * as Values from "../Values.ts"

const client = Effect.promise(() => import("./GatewayClient.ts"))

const start: Command = {
  name: "gateway start",
  usage: "[self|address|hostname…]",
  summary: "Makes ports of peers ports of this host, and with self a port of this host one of every trusted peer's",
  returns: "mappings [local_ip, pilot_addr or local, overlay_port, self], pid, subnet",
  flags: [
    {
      name: "ports",
      value: "text",
      placeholder: "a,b",
      summary: "which ports (default 80,443,1000,1001,1002,7,8080,8443)"
    },
    {
      name: "map",
      value: "text",
      placeholder: "at=peer:port",
      repeats: true,
      summary: "one port: 127.0.0.1:18080=mcp-host:8080, or udp:127.0.0.1:15353=mcp-host:5353"
    },
    {
      name: "udp",
      value: "text",
      placeholder: "a,b",
      summary: "UDP ports: of this host with self, of one peer on localhost"
    },
    { name: "proxy", value: "address", summary: "SOCKS5 and HTTP proxy for http://PEER.pilot:PORT/, 127.0.0.1:1080" },
    { name: "no-token", value: "boolean", summary: "the proxy wants no token: every user of this host may use it" },
    { name: "http", value: "boolean", summary: "with self: add who calls as Pilot-Caller-… headers to each request" },
    {
      name: "allow",
      value: "text",
      placeholder: "peer",
      repeats: true,
      summary: "with self: only this peer; may be repeated"
    },
    { name: "allow-remote", value: "boolean", summary: "listen on addresses that other machines reach" },
    {
      name: "subnet",
      value: "text",
      placeholder: "cidr",
      summary: "addresses for peers (default 127.44.0.0/16, as root 10.4.0.0/16)"
    }
  ],
  run: (input) =>
    Effect.flatMap(
      Effect.promise(() => import("./GatewayRun.ts")),
      ({ run }) => run(input)
    )
}

const stop: Command = {
  name: "gateway stop",
  usage: "",
  summary: "Ends the running gateway and every connection through it",
  returns: "pid",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { ask, tryAsk } = yield* client
    const { pid } = yield* ask({ op: "list" }, START_HINT)
    const processes = yield* Processes
    if (!(yield* processes.signal(pid, "SIGTERM"))) {
      return yield* CliError.make("permission_denied", `the gateway (pid ${pid}) is not yours to stop`)
    }
    const isThere = Effect.map(
      Effect.orElseSucceed(tryAsk({ op: "list" }), () => undefined),
      (state) => state !== undefined
    )
    yield* Effect.repeat(isThere, { while: (is) => is, schedule: Schedule.spaced("50 millis") }).pipe(
      Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () => CliError.make("timeout", `the gateway (pid ${pid}) does not end`)
      })
    )
    return output({ pid }, `gateway stopped (pid ${pid})`)
  })
}

const map: Command = {
  name: "gateway map",
  usage: "<address|hostname> [ip]",
  summary: "Gives a peer an address of this host in the running gateway",
  returns: "local_ip, pilot_addr",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const peer = yield* Effect.fromResult(Values.positional(map, input, 0))
    const ip = input.positionals[1]
    const { ask } = yield* client
    const { mapped } = yield* ask({ op: "map", peer, ...(ip === undefined ? {} : { ip }) }, START_HINT)
    return output({ ...mapped }, `mapped ${mapped?.local_ip} → ${mapped?.pilot_addr}`)
  })
}

const unmap: Command = {
  name: "gateway unmap",
  usage: "<ip>",
  summary: "Takes an address back from a peer",
  returns: "unmapped",
  flags: [],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const ip = yield* Effect.fromResult(Values.positional(unmap, input, 0))
    const { ask } = yield* client
    yield* ask({ op: "unmap", ip }, START_HINT)
    return output({ unmapped: ip }, `unmapped ${ip}`)
  })
}

const list: Command = {
  name: "gateway list",
  usage: "",
  summary: "What the running gateway leads to, and what went through it",
  returns: "mappings [local_ip, pilot_addr or local, overlay_port; open, connections, refused, bytes, problem], total",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { ask } = yield* client
    const { mappings } = yield* ask({ op: "list" }, START_HINT)
    const lines = mappings.map(
      ({ bytes, connections, local, local_ip, overlay_port, peer, pilot_addr, problem, self, udp }) =>
        `${udp === true ? "udp " : ""}${local_ip ?? local} → ${pilot_addr ?? (self === true ? `port ${overlay_port} of this node` : peer === undefined ? "*.pilot" : `${peer}:${overlay_port}`)}` +
        `  ${connections} connections, ${Render.size(bytes)}${problem === undefined ? "" : ` (${problem})`}`
    )
    const human = mappings.length === 0 ? "no mappings" : [...lines, `total: ${mappings.length}`].join("\n")
    return output({ mappings: [...mappings], total: mappings.length }, human)
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [start, stop, map, unmap, list].map(
  // A misspelt `--allow` would open a port to all.
  (row): Command => ({ ...row, isStrict: true })
)

const START_HINT = "start with: pilotctl gateway start"
