import { fileURLToPath, pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { readAll } from "../support/SourceFile.ts"
import * as Fuzzer from "./Fuzzer.ts"
import * as Session from "./Session.ts"
import * as Targets from "./Targets.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
/** Where bytes and texts of others are read, and what such functions and classes are called there. */
const FOLDERS: ReadonlyArray<readonly [string, RegExp]> = [
  ["src/core/data", /^(decode|parse|peek|read|from(Hex|Base64|Object))|Splitter$|Scan$/],
  ["src/protocol", /^(decode|parse|peek|read|classify|from(Hex|Base64|Object))|Splitter$|Scan$/],
  ...["src/core", "src/nat", "src/actors", "src/cli"].map((folder) => [folder, /^(decode|parse)|Splitter$/] as const)
]

/** Names that read nothing of others, or nothing themselves. */
const EXEMPT: Readonly<Record<string, string>> = {
  "src/protocol/wire/IpcOpcode.ts#makeSplitter": "a LengthPrefix.Splitter with a limit",
  "src/protocol/wire/RegistryMessage.ts#makeSplitter": "a LengthPrefix.Splitter with a limit",
  "src/protocol/registry/ReputationOperations.ts#readScore": "an operation; registry/Registry reaches all of them"
}

const found = async (): Promise<ReadonlyArray<readonly [string, unknown]>> => {
  const named = FOLDERS.flatMap(([folder, pattern]) =>
    readAll(ROOT, folder).flatMap(({ exports, path }) =>
      exports.filter(({ name }) => pattern.test(name)).map(({ name }) => [path, name] as const)
    )
  )
  const modules = await Promise.all(
    [...new Set(named.map(([path]) => path))].map(async (path) => {
      const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(`${ROOT}${path}`).href)
      const names = new Set(named.filter(([of]) => of === path).map(([, name]) => name))
      return [...names].map((name) => [`${path}#${name}`, module[name]] as const)
    })
  )
  // A type has no value.
  return modules.flat().filter(([, value]) => value !== undefined)
}

describe("the list of targets", () => {
  it("has every exported decoder, or says why not", async () => {
    const covered = new Set(Targets.all.flatMap(({ covers }) => covers))
    const decoders = await found()

    assert.isAbove(decoders.length, 40)
    const missing = decoders.filter(([path, value]) => !covered.has(value) && !(path in EXEMPT)).map(([path]) => path)
    assert.deepStrictEqual(missing, [])
    const stale = Object.keys(EXEMPT).filter((path) => !decoders.some(([known]) => known === path))
    assert.deepStrictEqual(stale, [])
  })

  it("has each name once", () => {
    const names = Targets.all.map(({ name }) => name)

    assert.deepStrictEqual(names, [...new Set(names)])
  })
})

describe("the fuzzer", () => {
  /** Breaks on a byte that is nowhere in its samples. */
  const brittle = (rule: (bytes: Uint8Array) => void): Fuzzer.Target =>
    Fuzzer.decoder({ name: "test/brittle", covers: [], samples: () => [new Uint8Array(40)], decode: rule })

  const failureOf = (target: Fuzzer.Target): Fuzzer.Found => {
    try {
      Fuzzer.run(target, { seed: 1, inputs: 100_000 })
    } catch (error) {
      if (error instanceof Fuzzer.Found) return error
      throw error
    }
    throw new Error("nothing was found")
  }

  it("finds what throws, and names seed, case and the smallest input; the case plays again", () => {
    const target = brittle((bytes) => {
      if (bytes.includes(0xfe)) throw new RangeError("too much")
    })
    const found = failureOf(target)

    assert.match(found.message, /RangeError: too much\n {2}seed 1, case \d+, 1 input\(s\).*\n {2}input 0 hex:fe\n/)
    assert.throws(() => Fuzzer.playCase(target, found.seed, found.index), "too much")
  })

  it("finds what grows, and what writes to its input", () => {
    assert.include(failureOf(brittle((bytes) => new Uint8Array(bytes[0]! * 1000))).message, "grew beyond its input")
    assert.include(failureOf(brittle((bytes) => void bytes.fill(7))).message, "wrote to its input")
  })

  it("leaves out of a session what it does not need to break", () => {
    const target = Session.target({
      name: "test/session",
      covers: [],
      inputs: 30,
      play: (session) => {
        let seen = 0
        for (let turn = 0; turn < session.inputs; turn++) if (session.mutate([new Uint8Array(9)])[0] === 0xff) seen++
        session.check("two of them", seen < 2)
      }
    })

    assert.match(
      failureOf(target).message,
      /2 input\(s\) left after shrinking:\n {2}input \d+ hex:ff\n {2}input \d+ hex:ff\n/
    )
  })

  it("plays the same case the same way, whatever was played before", () => {
    for (const target of Targets.all) {
      const inputs = () => target.play(Fuzzer.randomOf(target, 3, 5))
      const first = inputs()
      Fuzzer.playCase(target, 3, 9)
      assert.deepStrictEqual(inputs(), first, target.name)
    }
  })
})
