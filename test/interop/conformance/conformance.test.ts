import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as ConformanceSuite from "./ConformanceSuite.ts"
import * as Stage from "./Stage.ts"
import * as Table from "./Table.ts"

/** One fixture, and the revision it is asked for. */
interface Subject {
  readonly name: string
  readonly file: string
  readonly requirements: ConformanceSuite.Requirements
}
const SUBJECTS: ReadonlyArray<Subject> = [
  { name: "SDK 1.32, 2025-11-25", file: "LegacyFixture.ts", requirements: "2025-11-25" },
  { name: "SDK 2.4, 2026-07-28", file: "ModernFixture.ts", requirements: "2026-07-28" }
]

/**
 * Checks that come out otherwise through the bridge, and why that is right. An entry that no longer differs is an error,
 * so that the list holds nothing but the truth.
 */
const EXCEPTIONS: Readonly<Record<string, ReadonlyArray<string>>> = {
  // The mount never ends an event stream before its answer, so there is nothing to come back to.
  "SDK 1.32, 2025-11-25, URL": ["server-sse-polling/server-sse-disconnect-resume"],
  "SDK 1.32, 2025-11-25, stdio": ["server-sse-polling/server-sse-disconnect-resume"],
  "SDK 2.4, 2026-07-28, URL": [],
  // A stdio server of SDK 2 looks at the revision of the first message only, so also without a bridge (mcp §3).
  "SDK 2.4, 2026-07-28, stdio": [
    "server-stateless/sep-2575-server-unsupported-version-error",
    "server-stateless/sep-2575-http-server-unsupported-version-400"
  ]
}

/** Runs the suite directly, then through mount, both nodes and keeper to the fixture behind a URL and behind a pipe. */
const compare = Effect.fnUntraced(function* ({ file, name, requirements }: Subject) {
  const url = yield* Stage.serving([Stage.file(file), "--http"])
  const direct = yield* ConformanceSuite.run(url, requirements)
  const service = requirements
  yield* Stage.expose(`${service}-url`, ["--url", url])
  yield* Stage.expose(service, ["--", process.execPath, Stage.file(file)])
  const rows: Array<ReadonlyArray<string>> = []
  for (const [way, mounted] of [["URL", `${service}-url`] as const, ["stdio", service] as const]) {
    const bridged = yield* Effect.scoped(
      Effect.flatMap(Stage.mountHttp(mounted), (endpoint) => ConformanceSuite.run(endpoint, requirements))
    )
    const differences = ConformanceSuite.differences(direct, bridged)
    assert.deepStrictEqual(
      [...differences.keys()].toSorted(),
      (EXCEPTIONS[`${name}, ${way}`] ?? []).toSorted(),
      `${name}, ${way}`
    )
    rows.push([
      name,
      way,
      String(direct.size),
      ...[direct, bridged].map((verdicts) => String(ConformanceSuite.count(verdicts, "SUCCESS"))),
      differences.size === 0 ? "none" : [...differences.keys()].map((key) => `\`${key.split("/")[1]}\``).join(", ")
    ])
  }
  return rows
})

describe("the official conformance suite, directly and through the bridge", () => {
  layer(Stage.layer, { timeout: 120_000, excludeTestServices: true })((it) => {
    it.effect(
      "finds the same",
      () =>
        Effect.gen(function* () {
          const rows = (yield* Effect.forEach(SUBJECTS, compare)).flat()
          Table.check(
            "conformance",
            ["fixture", "behind", "checks", "met directly", "met through the bridge", "different"],
            rows
          )
        }),
      300_000
    )
  })
})
