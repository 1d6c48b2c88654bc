/**
 * Two daemons as processes, `kill -9` of either at random moments while messages and files go from one to the other: what
 * was acknowledged must be there, once and whole.
 */
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { Effect, Fiber } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as SeededRandom from "../../../src/testing/SeededRandom.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** How hard it is tried. */
export interface Options {
  readonly crashes: number
  /** Of all files together. */
  readonly totalBytes: number
  readonly seed: number
}

/** What came out. */
export interface Outcome {
  readonly crashes: number
  readonly acknowledgedMessages: number
  readonly acknowledgedFiles: number
  /** Empty when every promise was kept. */
  readonly problems: ReadonlyArray<string>
}

/** Runs until all files are sent and all crashes are done. */
export const run = Effect.fnUntraced(function* ({ crashes, seed, totalBytes }: Options) {
  const random = SeededRandom.make(seed)
  const network = yield* PilotNetwork.make
  const alice = yield* PilotNetwork.startDaemon(network, "alice")
  const bob = yield* PilotNetwork.startDaemon(network, "bob")
  yield* PilotNetwork.trust(alice, bob)
  const work = `${network.directory}/work`
  mkdirSync(work)
  const messages: Array<string> = []
  const files = new Map<string, string>()
  let isOver = false

  const talk = Effect.gen(function* () {
    for (let index = 0; !isOver; index++) {
      const text = `message ${index}`
      const { exitCode, stdout } = yield* PilotProcesses.pilotctl(alice.home, ["send-message", "bob", "--data", text])
      if (exitCode === 0 && stdout.includes("ACK TEXT")) messages.push(text)
    }
  })
  const send = Effect.gen(function* () {
    const sizeBytes = Math.floor(totalBytes / FILES)
    for (let index = 0; index < FILES; index++) {
      const path = `${work}/file-${index}.bin`
      const content = new Uint8Array(sizeBytes)
      for (let at = 0; at < sizeBytes; at += 4) content[at] = SeededRandom.index(random, 256)
      writeFileSync(path, content)
      const digest = createHash("sha256").update(content).digest("hex")
      // A person would type it again; what has arrived is not sent again.
      yield* PilotProcesses.until(
        Effect.map(PilotProcesses.pilotctl(alice.home, ["send-file", "bob", path]), ({ exitCode }) => exitCode === 0)
      )
      files.set(`file-${index}`, digest)
    }
  })
  const kill = Effect.gen(function* () {
    for (let count = 0; count < crashes; count++) {
      yield* Effect.sleep(100 + SeededRandom.index(random, 1200))
      const victim = SeededRandom.chance(random, 0.5) ? alice : bob
      for (const pid of PilotProcesses.running(victim.home, "_daemon-run")) yield* PilotProcesses.killNow(pid)
      yield* PilotNetwork.startDaemon(network, victim.name)
    }
  })
  const talking = yield* Effect.forkChild(talk)
  yield* Effect.all([send, kill], { concurrency: 2, discard: true })
  isOver = true
  yield* Fiber.join(talking)
  const problems = yield* compare(bob.home, messages, files)
  const outcome: Outcome = {
    crashes,
    acknowledgedMessages: messages.length,
    acknowledgedFiles: files.size,
    problems
  }
  return outcome
}, Effect.scoped)

/** What the receiver's own commands show against what the sender was told. */
const compare = Effect.fnUntraced(function* (
  home: string,
  messages: ReadonlyArray<string>,
  files: ReadonlyMap<string, string>
) {
  const dataOf = (stdout: string) => Json.parseObject(stdout)?.["data"] as Json.JsonObject
  const inbox = dataOf((yield* PilotProcesses.pilotctl(home, ["--json", "inbox"])).stdout)
  const received = dataOf((yield* PilotProcesses.pilotctl(home, ["--json", "received"])).stdout)
  const texts = Json.objects(inbox, "messages").map((message) => Json.string(message, "data"))
  const times = (text: string) => texts.filter((other) => other === text).length
  const rows = Json.objects(received, "files")
  return [
    ...messages.flatMap((text) => (times(text) === 1 ? [] : [`${text} is there ${times(text)} times`])),
    ...[...new Set(texts)].flatMap((text) => (times(text) > 1 ? [`${text} is there twice`] : [])),
    ...[...files].flatMap(([name, digest]) => {
      const copies = rows.filter((row) => Json.string(row, "name").startsWith(`${name}-`))
      if (copies.length !== 1) return [`${name} is there ${copies.length} times`]
      const found = createHash("sha256")
        .update(readFileSync(Json.string(copies[0]!, "path")))
        .digest("hex")
      return found === digest ? [] : [`${name} is not what was sent`]
    })
  ]
})

const FILES = 4
