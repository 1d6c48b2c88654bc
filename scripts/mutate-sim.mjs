/**
 * Breaks the code in one line at a time and watches the simulations fail, so that its checkers are known to see. Each
 * mutation runs on a temporary copy. Not part of the tests: it takes five minutes.
 *
 * node scripts/run.mjs scripts/mutate-sim.mjs [NAME…]
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")

/** Name, file below `src`, the text to replace (found exactly once), its replacement. */
const MUTATIONS = [
  [
    "deliver-out-of-order",
    "protocol/stream/ReceiveBuffer.ts",
    "if (start <= this.#next && this.#ranges.length === 0 && this.freeSegments > 0) {",
    "if (this.#ranges.length === 0 && this.freeSegments > 0) {"
  ],
  [
    "close-drops-what-is-unsent",
    "protocol/stream/Closing.ts",
    "if (nowMs < this.#lingerUntilMs) return",
    "if (nowMs < this.#closeAtMs) return"
  ],
  [
    "never-time-out",
    "protocol/stream/Recovery.ts",
    'if (expiry === "Timeout") this.#timedOut(progress, nowMs)',
    'if (expiry === "Timeout") return expiry'
  ],
  ["reuse-nonces", "protocol/tunnel/TunnelKeys.ts", "this.#sealedFrames += 1", "this.#sealedFrames = 1"],
  ["send-in-clear", "actors/layers/NodeLayer.ts", "encrypt: config.encrypt,", "encrypt: false,"],
  [
    "stay-on-a-dead-path",
    "nat/PathSelector.ts",
    "candidate.unanswered >= UNANSWERED_MIN &&",
    "candidate.unanswered < 0 &&"
  ],
  [
    "beacon-relays-to-nobody",
    "nat/BeaconDirectory.ts",
    "return BeaconEntry.addresses(target, nowMs).map(",
    "return BeaconEntry.addresses(target, nowMs).slice(1).map("
  ],
  [
    "forget-trust-on-disk",
    "actors/trust/TrustStoreFile.ts",
    "AtomicFile.write(path, TrustFile.encode(content),",
    "AtomicFile.write(path, TrustFile.encode(TrustFile.empty),"
  ],
  [
    "new-identity-at-each-start",
    "core/crypto/IdentityFile.ts",
    "if (text === undefined) return {",
    "if (text !== null) return {"
  ],
  ["do-not-sync-files", "core/storage/AtomicFile.ts", "yield* file.sync", "yield* Effect.void"],
  [
    "heartbeat-outlives-its-node",
    "actors/node/RegistrationActor.ts",
    "Effect.forkScoped({ startImmediately: true }),",
    "Effect.forkDetach({ startImmediately: true }),"
  ],
  ["keep-a-lost-registry-connection", "actors/registry/RegistryConnection.ts", "    this.#open = undefined\n", "\n"]
]

const main = () => {
  const wanted = process.argv.slice(2)
  const chosen = MUTATIONS.filter(([name]) => wanted.length === 0 || wanted.includes(name))
  const directory = mkdtempSync(join(tmpdir(), "effect-pilot-mutants-"))
  for (const entry of ["src", "test", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, entry), join(directory, entry), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
  try {
    if (fails(directory)) throw new Error("the simulations fail without any mutation")
    const survivors = chosen.filter((mutation) => !isCaught(directory, mutation))
    console.log(`${chosen.length - survivors.length} of ${chosen.length} mutations caught`)
    process.exitCode = survivors.length === 0 ? 0 : 1
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const isCaught = (directory, [name, file, from, to]) => {
  const path = join(directory, "src", file)
  const text = readFileSync(path, "utf8")
  if (text.split(from).length !== 2) throw new Error(`${name}: ${file} has not exactly one of: ${from}`)
  writeFileSync(
    path,
    text.replace(from, () => to)
  )
  const reason = fails(directory)
  writeFileSync(path, text)
  console.log(`${reason === undefined ? "SURVIVED" : "caught"}  ${name}${reason === undefined ? "" : `: ${reason}`}`)
  return reason !== undefined
}

/** Why the simulations fail, `undefined` if it passes. */
const fails = (directory) => {
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
  const args = [vitest, "run", "--bail=1", "test/sim"]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: directory,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    env: { ...process.env, NO_COLOR: "1", SIM_SEEDS: process.env.SIM_SEEDS ?? "4" }
  })
  if (status === 0) return undefined
  const seed = /simulation failed: (seed \d+)/.exec(stderr)?.[1] ?? "a seed"
  const error = /ERROR \(#\d+\): (.*)/.exec(stdout)?.[1] ?? /^ *(\w*Error: .*)$/m.exec(stdout)?.[1] ?? "it does not end"
  return `${seed}, ${error.slice(0, LINE_MAX)}`
}

const TIMEOUT_MS = 240_000
const LINE_MAX = 160

main()
