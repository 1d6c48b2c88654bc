/**
 * Messages and files from a node in this process to a daemon in another, each acknowledged when it is on the daemon's disk,
 * beside what that disk takes and what two processes seal, send and open.
 */
import { randomBytes } from "node:crypto"
import { mkdir, open, rename, rm } from "node:fs/promises"
import { Console, Context, Duration, Effect, Fiber } from "effect"
import { Files, Messages, Pilot } from "effect-pilot"
import * as Ceiling from "../Ceiling.ts"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

/** MiB of the file that is sent: `--size`. */
export const SizeMiB = Context.Reference<number>("bench/exchange/SizeMiB", { defaultValue: () => 64 })

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  const work = `${network.client.path}/work`
  yield* Effect.promise(() => mkdir(work, { recursive: true }))
  return yield* Effect.scoped(
    Effect.gen(function* () {
      // Three files, one of them twice for a while.
      yield* network.server.daemonWith({ receivedQuota: String(Math.max(2_048, 4 * (yield* SizeMiB))) })
      const messages = yield* Effect.forEach(KINDS, ([name, sizeBytes, count]) =>
        messagesOf({ name, sizeBytes, count, inbox: `${network.server.path}/inbox`, work })
      )
      const files = yield* filesOf(work, network.server.path)
      return [...messages.flat(), ...files]
    }).pipe(Effect.provide(Pilot.layer(network.client.options)))
  )
})

interface Kind {
  readonly name: string
  readonly sizeBytes: number
  readonly count: number
  readonly inbox: string
  readonly work: string
}

const messagesOf = Effect.fnUntraced(function* ({ count, inbox, name, sizeBytes, work }: Kind) {
  yield* Console.log(`messages of ${name} …`)
  const text = "x".repeat(sizeBytes)
  const send = Messages.send(SERVER, { text })
  yield* Effect.repeat(send, { times: WARM_UP })
  const written = yield* Effect.promise(() => syncedFiles(work, text, count, PARALLEL))
  const one = yield* Effect.promise(() => syncedFiles(work, text, SEQUENTIAL, 1))
  const [elapsed] = yield* Effect.timed(
    Effect.forEach(Array.from({ length: count }), () => send, { concurrency: PARALLEL, discard: true })
  )
  const times = yield* Effect.forEach(Array.from({ length: SEQUENTIAL }), () => Effect.timed(send))
  yield* Effect.promise(() => rm(inbox, { recursive: true, force: true }))
  const latency = Statistics.latency(times.map(([took]) => millis(took)))
  return [
    {
      name: `messages of ${name}, ${PARALLEL} at once`,
      unit: "/s",
      ours: (count * 1000) / millis(elapsed),
      ceiling: { value: written, of: "synced files, as many at once" }
    },
    {
      name: `message of ${name}, one at a time, p50`,
      unit: "ms",
      ours: latency.p50Ms,
      ceiling: { value: 1000 / one, of: "one synced file" }
    },
    { name: `message of ${name}, one at a time, p99`, unit: "ms", ours: latency.p99Ms }
  ] satisfies ReadonlyArray<Figure>
})

const filesOf = Effect.fnUntraced(function* (work: string, server: string) {
  const sizeMiB = yield* SizeMiB
  const bytes = sizeMiB * 1_048_576
  yield* Console.log(`a file of ${sizeMiB} MiB …`)
  yield* Effect.promise(() => randomFile(`${work}/whole`, sizeMiB))
  yield* Effect.promise(() => randomFile(`${work}/broken`, sizeMiB))
  const sealed = yield* Effect.promise(() => Ceiling.sealedBytesPerSecond(60_000, 2_000))
  const disk = yield* Effect.promise(() => syncedBytesPerSecond(work, sizeMiB))
  const [elapsed] = yield* Effect.timed(Files.send(SERVER, `${work}/whole`))
  let reached = 0
  const half = yield* Effect.forkChild(
    Files.send(SERVER, `${work}/broken`, {
      progress: ({ doneBytes, stage }) =>
        Effect.sync(() => {
          if (stage === "sending") reached = doneBytes
        })
    })
  )
  while (reached < bytes / 2) yield* Effect.sleep("1 millis")
  yield* Fiber.interrupt(half)
  const from = reached
  let resumedAt: number | undefined
  const [rest] = yield* Effect.timed(
    Files.send(SERVER, `${work}/broken`, {
      progress: ({ doneBytes, stage }) =>
        Effect.sync(() => {
          if (stage === "sending") resumedAt ??= doneBytes
        })
    })
  )
  yield* Effect.promise(() => rm(`${server}/received`, { recursive: true, force: true }))
  const wholeMs = millis(elapsed)
  return [
    {
      name: `file of ${sizeMiB} MiB, to the disk of the other`,
      unit: "MB/s",
      ours: bytes / 1000 / wholeMs,
      ceiling: { value: sealed / 1e6, of: "sealed 60,000-byte datagrams" },
      peers: { "written and synced here": disk / 1e6 }
    },
    {
      name: `the same, the rest after a break at ${Math.round(from / 1_048_576)} MiB`,
      unit: "ms",
      ours: millis(rest),
      ceiling: { value: (wholeMs * (bytes - from)) / bytes, of: "its share of the whole" },
      peers: { "taken up at MiB": (resumedAt ?? 0) / 1_048_576 }
    }
  ] satisfies ReadonlyArray<Figure>
})

/** Files per second that are written, synced, renamed and whose directory is synced: what each message costs at least. */
const syncedFiles = async (directory: string, text: string, count: number, parallel: number): Promise<number> => {
  const inbox = `${directory}/synced`
  await mkdir(inbox, { recursive: true })
  let next = 0
  const one = async (index: number) => {
    const file = await open(`${inbox}/${index}.tmp`, "wx")
    await file.writeFile(text)
    await file.sync()
    await file.close()
    await rename(`${inbox}/${index}.tmp`, `${inbox}/${index}`)
    const place = await open(inbox)
    await place.sync()
    await place.close()
  }
  const startedAtMs = performance.now()
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < count) await one(next++)
    })
  )
  const tookMs = performance.now() - startedAtMs
  await rm(inbox, { recursive: true })
  return (count * 1000) / tookMs
}

const syncedBytesPerSecond = async (directory: string, sizeMiB: number): Promise<number> => {
  const block = randomBytes(1_048_576)
  const startedAtMs = performance.now()
  const file = await open(`${directory}/disk`, "w")
  for (let count = 0; count < sizeMiB; count++) await file.write(block)
  await file.sync()
  await file.close()
  return (sizeMiB * 1_048_576 * 1000) / (performance.now() - startedAtMs)
}

const randomFile = async (path: string, sizeMiB: number): Promise<void> => {
  const file = await open(path, "w")
  for (let count = 0; count < sizeMiB; count++) await file.write(randomBytes(1_048_576))
  await file.close()
}

const millis = (duration: Duration.Duration): number => Duration.toMillis(duration)

/** Messages to a disk, and files that go on. */
export const group: Group = {
  name: "exchange",
  about: "messages per second and files to the disk of another daemon, and after a break",
  seconds: 60,
  run: measure
}

const SERVER = "bench-exchange"
const PARALLEL = 32
const SEQUENTIAL = 100
const WARM_UP = 50
const KINDS: ReadonlyArray<readonly [name: string, sizeBytes: number, count: number]> = [
  ["100 B", 100, 3000],
  ["100 KB", 100_000, 500]
]
