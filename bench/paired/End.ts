/**
 * One end of a paired measurement as a process: a node of the checkout that is named. It echoes, or does small things with the
 * node that does; each message asks for some of them, and is answered with the processor time that they took here.
 *
 * Run as a child by `main.ts`: `node bench/paired/End.ts CHECKOUT serve | ask <options of the node as JSON>`.
 */
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Pilot } from "effect-pilot"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/** The serving node's name. */
export const SERVER = "bench-server"

/** 64 bytes there and back: on an open stream, on one that is dialled for it and closed, on 50 open ones at once. */
export const KINDS = ["round trip", "dial", "one of 50 at once"] as const

/** What is to be done. The serving end only counts what it has done meanwhile. */
export interface Task {
  readonly kind: (typeof KINDS)[number]
  readonly times: number
}

const main = async (checkout: string, isServing: boolean, options: Pilot.NodeOptions) => {
  const load = (path: string) => import(pathToFileURL(`${checkout}/${path}`).href)
  // Those of the checkout, whose build brings its own.
  const effect: typeof import("effect") = await load("node_modules/effect/dist/index.js")
  const { Pilot }: typeof import("effect-pilot") = await load("dist/lib/api/index.js")
  const { Effect, Layer, ManagedRuntime, References, Schedule, Stream } = effect
  const quiet = Layer.succeed(References.MinimumLogLevel, "Warn")
  const runtime = ManagedRuntime.make(Layer.provideMerge(Pilot.layer(options), quiet))

  const echo = ({ close, duplex }: Pilot.Connection) =>
    Effect.ensuring(Effect.exit(Effect.forever(Effect.flatMap(duplex.read, duplex.write))), close)
  const roundTrip = Effect.fnUntraced(function* ({ duplex }: Pilot.Connection) {
    yield* duplex.write(new Uint8Array(BYTES))
    for (let bytes = 0; bytes < BYTES; bytes += (yield* duplex.read).length);
  })
  const open = Pilot.dial(SERVER, PORT)
  const dial = Effect.scoped(Effect.flatMap(open, roundTrip))
  const several = Effect.fnUntraced(function* (count: number, times: number) {
    const connections = yield* Effect.replicateEffect(open, count)
    const once = Effect.forEach(connections, roundTrip, { concurrency: "unbounded", discard: true })
    yield* Effect.replicateEffect(once, times, { discard: true })
  }, Effect.scoped)
  const work = ({ kind, times }: Task) => {
    if (kind === "round trip") return several(1, times)
    return kind === "dial" ? Effect.replicateEffect(dial, times, { discard: true }) : several(50, Math.ceil(times / 50))
  }

  if (isServing) void runtime.runPromise(Stream.runForEach(Pilot.listen(PORT), (peer) => Effect.forkChild(echo(peer))))
  else {
    await runtime.runPromise(Effect.retry(dial, { times: 100, schedule: Schedule.spaced("100 millis") }))
    const isDirect = { until: ({ path }: Pilot.Ping) => path === "direct", schedule: Schedule.spaced("100 millis") }
    await runtime.runPromise(Effect.repeat(Pilot.ping(SERVER), isDirect))
  }
  let before = cpuUs()
  process.on("message", async (task: Task) => {
    if (!isServing) {
      before = cpuUs()
      await runtime.runPromise(work(task))
    }
    const now = cpuUs()
    process.send?.((now - before) / task.times)
    before = now
  })
  await runtime.runPromise(Pilot.info)
  process.send?.("ready")
}

const cpuUs = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

const PORT = 5200
const BYTES = 64

if (process.argv[1] === PROGRAM) {
  process.on("disconnect", () => process.exit())
  const [checkout = "", role, options = "{}"] = process.argv.slice(2)
  await main(checkout, role === "serve", JSON.parse(options))
}
