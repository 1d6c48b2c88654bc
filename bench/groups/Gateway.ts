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
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  yield* Effect.all([network.server.daemon, network.client.daemon])
  const site = yield* started("site")
  const proxy = yield* started("proxy", String(site))
  yield* gateway(network.server.path, "--ports", String(site), "self", "--allow", "bench-client")
  const [mapping] = yield* gateway(network.client.path, "--map", `127.0.0.1:0=${SERVER}:${site}`)
  const ours = Number(mapping?.local?.split(":").at(-1))
  yield* Console.log("downloads …")
  const speed = yield* promise(() => alternating((port) => download(port, DOWNLOAD_BYTES), ours, proxy, ROUNDS))
  yield* Console.log("round trips …")
  const direct = yield* promise(() => roundTrips(site))
  const late = yield* promise(() => alternating(roundTrips, ours, proxy, 1))
  yield* Console.log(`${CONNECTIONS} connections …`)
  const many = yield* promise(() => alternating(openAll, ours, proxy, 1))
  const added = ({ p50Ms }: Statistics.Latency) => p50Ms - direct.p50Ms
  return [
    {
      name: `download of ${DOWNLOAD_BYTES >> 20} MiB over one connection`,
      unit: "MB/s",
      ours: Math.max(...speed.ours),
      ceiling: { value: Math.max(...speed.proxy), of: "a plain TCP proxy" }
    },
    {
      name: "added to a round trip of 64 bytes, p50",
      unit: "ms",
      ours: added(late.ours[0]!),
      ceiling: { value: added(late.proxy[0]!), of: "a plain TCP proxy" }
    },
    {
      name: `connections, ${CONNECTIONS.toLocaleString("en")} opened and kept, one round trip each`,
      unit: "/s",
      ours: many.ours[0]!,
      ceiling: { value: many.proxy[0]!, of: "a plain TCP proxy" }
    }
  ] satisfies ReadonlyArray<Figure>
})

const started = (...args: ReadonlyArray<string>) =>
  Children.start([process.execPath, SITE, ...args]).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Int))
  )

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
  return (yield* decode(line)).data.mappings
})

/** One after the other, so that what else the machine does meets both. */
const alternating = async <A>(measured: (port: number) => Promise<A>, ours: number, proxy: number, rounds: number) => {
  const both = { ours: [] as Array<A>, proxy: [] as Array<A> }
  for (let round = 0; round < rounds; round++) {
    both.proxy.push(await measured(proxy))
    both.ours.push(await measured(ours))
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
const PAYLOAD = Buffer.alloc(64, 7)
