/**
 * TCP through two gateways and two daemons, next to a plain proxy between the same client and the same server: how much, how
 * much later, and how many at once.
 */
import { spawn } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { Console, Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Children from "../Children.ts"
import type { Figure } from "../Figure.ts"
import { WISH } from "../gateway/TcpSite.ts"
import * as Processes from "../mcp/Processes.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  yield* Effect.all([network.server.daemon, network.client.daemon])
  const site = (yield* started("site")).port
  const plain = yield* started("proxy", String(site))
  const serving = yield* gateway(network.server.path, "--ports", String(site), "self", "--allow", "bench-client")
  const dialling = yield* gateway(network.client.path, "--map", `127.0.0.1:0=${SERVER}:${site}`)
  const ways: Ways = {
    ours: {
      port: Number(dialling.mappings[0]?.local?.split(":").at(-1)),
      pids: {
        "its gateway": dialling.pid,
        "its node": yield* Processes.pidOf(network.client.path, "daemon", "status"),
        "the server's node": yield* Processes.pidOf(network.server.path, "daemon", "status"),
        "the server's gateway": serving.pid
      }
    },
    proxy: { port: plain.port, pids: { proxy: plain.pid } }
  }
  yield* Console.log("downloads …")
  const speed = yield* promise(() => alternating((port) => download(port, DOWNLOAD_BYTES), ways, ROUNDS))
  yield* Console.log("round trips …")
  const direct = yield* promise(() => roundTrips(site))
  const late = yield* promise(() => alternating(roundTrips, ways, 1))
  const added = ([{ value }]: Measured<Statistics.Latency>) => value.p50Ms - direct.p50Ms
  yield* Console.log(`${CONNECTIONS} connections, one after another and ${OPENED_AT_ONCE} at once …`)
  const short = yield* promise(() => alternating(openAndClose, ways, ROUNDS))
  const many = yield* promise(() => alternating(openAll, ways, 1))
  return [
    ...figures(
      `download of ${DOWNLOAD_BYTES >> 20} MiB over one connection`,
      "MB/s",
      "MB",
      DOWNLOAD_BYTES / 1e6,
      speed
    ),
    {
      name: "added to a round trip of 64 bytes, p50",
      unit: "ms",
      ours: added(late.ours),
      ceiling: { value: added(late.proxy), of: PROXY }
    },
    ...figures("short connections, 16 at once, one round trip each", "/s", "connection", SHORT, short),
    ...figures(
      `connections, ${CONNECTIONS.toLocaleString("en")} opened and kept, one round trip each`,
      ...(["/s", "connection", CONNECTIONS, many] as const)
    )
  ] satisfies ReadonlyArray<Figure>
})

/** The best of the rounds, and the least processor time of a round. */
const figures = (
  name: string,
  unit: string,
  piece: string,
  pieces: number,
  { ours, proxy }: Both<number>
): ReadonlyArray<Figure> => {
  const [spent, plain] = [least(ours), least(proxy)]
  const each = Object.entries(spent).map(([process, { runningUs }]) => [process, runningUs / pieces] as const)
  return [
    { name, unit, ours: best(ours), ceiling: { value: best(proxy), of: PROXY } },
    {
      name: `· processor per ${piece}, all four processes`,
      unit: "µs",
      ours: sumUs(spent) / pieces,
      ceiling: { value: sumUs(plain) / pieces, of: PROXY },
      peers: Object.fromEntries(each)
    }
  ]
}

const best = (rounds: Measured<number>) => Math.max(...rounds.map(({ value }) => value))

type SpentByProcess = Readonly<Record<string, Processes.Spent>>

const least = (rounds: Measured<number>): SpentByProcess =>
  rounds.map(({ spent }) => spent).reduce((one, other) => (sumUs(other) < sumUs(one) ? other : one))

const sumUs = (spent: SpentByProcess) => Object.values(spent).reduce((sum, { runningUs }) => sum + runningUs, 0)

const started = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const child = yield* Children.start([process.execPath, SITE, ...args])
  const port = yield* Effect.flatMap(Children.message(child), Schema.decodeUnknownEffect(Schema.Int))
  return { port, pid: child.pid ?? 0 }
})

/** Until the end of the scope; what it says it leads to. */
const gateway = Effect.fnUntraced(function* (home: string, ...args: ReadonlyArray<string>) {
  const running = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [Pilotctl.PROGRAM, "--json", "gateway", "start", ...args], {
        env: Pilotctl.environment(home),
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => void child.kill())
  )
  const line = yield* Effect.callback<string, Children.ChildFailed>((resume) => {
    let said = ""
    running.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes("\n")) resume(Effect.succeed(said))
    })
    running.once("exit", () => resume(new Children.ChildFailed({ detail: `gateway ${args.join(" ")} ended` })))
  })
  return { pid: running.pid ?? 0, mappings: (yield* decode(line)).data.mappings }
})

/** The two that are compared: the port that leads to the site, and who works meanwhile. */
type Ways = Readonly<
  Record<"ours" | "proxy", { readonly port: number; readonly pids: Readonly<Record<string, number>> }>
>

/** What came out of each round, at least one, and what the processes spent on it. */
type Measured<A> = readonly [Round<A>, ...Array<Round<A>>]
interface Round<A> {
  readonly value: A
  readonly spent: SpentByProcess
}
type Both<A> = Readonly<Record<keyof Ways, Measured<A>>>

/** One after the other, so that what else the machine does meets both. */
const alternating = async <A>(
  measured: (port: number) => Promise<A>,
  { ours, proxy }: Ways,
  rounds: number
): Promise<Both<A>> => {
  const once = async ({ pids, port }: Ways["ours"]): Promise<Round<A>> => {
    const before = Processes.spentOf(pids)
    const value = await measured(port)
    return { value, spent: Processes.since(before, Processes.spentOf(pids)) }
  }
  const both = { ours: [await once(ours)] as const, proxy: [await once(proxy)] as const } as {
    readonly ours: [Round<A>, ...Array<Round<A>>]
    readonly proxy: [Round<A>, ...Array<Round<A>>]
  }
  for (let round = 1; round < rounds; round++) {
    both.proxy.push(await once(proxy))
    both.ours.push(await once(ours))
  }
  return both
}

/** Megabytes per second. */
const download = (port: number, sizeBytes: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const wish = Buffer.alloc(5)
    wish[0] = WISH.download
    wish.writeUInt32BE(sizeBytes, 1)
    const socket = dial(port, reject)
    let received = 0
    const startedAtMs = performance.now()
    socket.write(wish)
    socket.on("data", (chunk) => {
      received += chunk.length
    })
    socket.on("end", () => {
      socket.destroy()
      if (received !== sizeBytes) return reject(new Error(`${received} of ${sizeBytes} bytes came`))
      resolve(received / 1000 / (performance.now() - startedAtMs))
    })
  })

const roundTrips = async (port: number): Promise<Statistics.Latency> => {
  const socket = await opened(port)
  const times: Array<number> = []
  for (let round = 0; round < ROUND_TRIPS; round++) times.push(await echoed(socket))
  socket.destroy()
  return Statistics.latency(times.slice(ROUND_TRIPS / 10))
}

/** Connections per second, until the last one has its answer; all of them are open then. */
const openAll = async (port: number): Promise<number> => {
  const startedAtMs = performance.now()
  const sockets: Array<Socket> = []
  let left = CONNECTIONS
  const one = async () => {
    while (left-- > 0) sockets.push(await opened(port))
  }
  await Promise.all(Array.from({ length: OPENED_AT_ONCE }, one))
  const tookMs = performance.now() - startedAtMs
  for (const socket of sockets) socket.destroy()
  return (CONNECTIONS * 1000) / tookMs
}

/** Connections per second, each closed after its answer. */
const openAndClose = async (port: number): Promise<number> => {
  const startedAtMs = performance.now()
  let left = SHORT
  const one = async () => {
    while (left-- > 0) await closed(await opened(port))
  }
  await Promise.all(Array.from({ length: SHORT_AT_ONCE }, one))
  return (SHORT * 1000) / (performance.now() - startedAtMs)
}

/** In good order, as a client of HTTP does. */
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once("close", resolve).resume().end()
  })

const opened = async (port: number): Promise<Socket> => {
  let fail = (_error: Error) => {}
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  const socket = dial(port, fail)
  socket.write(Buffer.of(WISH.echo))
  await Promise.race([echoed(socket), failed])
  return socket
}

const echoed = (socket: Socket): Promise<number> =>
  new Promise((resolve) => {
    const startedAtMs = performance.now()
    let left = PAYLOAD.length
    const take = (chunk: Buffer) => {
      left -= chunk.length
      if (left > 0) return
      socket.off("data", take)
      resolve(performance.now() - startedAtMs)
    }
    socket.on("data", take)
    socket.write(PAYLOAD)
  })

const dial = (port: number, failed: (error: Error) => void): Socket =>
  connect({ port, host: "127.0.0.1", noDelay: true }).on("error", failed)

const promise = <A>(run: () => Promise<A>) => Effect.promise(run)

/** What a gateway costs. */
export const group: Group = {
  name: "gateway",
  about: "TCP through two gateways, next to a plain proxy",
  seconds: 60,
  run: measure
}

const decode = Schema.decodeEffect(
  Schema.fromJsonString(
    Schema.Struct({
      data: Schema.Struct({ mappings: Schema.Array(Schema.Struct({ local: Schema.optionalKey(Schema.String) })) })
    })
  )
)
const SERVER = "bench-gateway"
const SITE = fileURLToPath(new URL("../gateway/TcpSite.ts", import.meta.url))
const DOWNLOAD_BYTES = 64 << 20
const ROUNDS = 3
const ROUND_TRIPS = 1_000
/** Of the 1,024 that one port of a node takes. */
const CONNECTIONS = 1_000
const OPENED_AT_ONCE = 64
const SHORT = 500
const SHORT_AT_ONCE = 16
const PROXY = "a plain TCP proxy"
const PAYLOAD = Buffer.alloc(64, 7)
