import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Files that run for half a minute and more: begun first, so that no worker is left alone with one of them at the end. */
const LONG = [
  "sim/Mixed",
  "protocol/stream/Throughput",
  "fuzz/",
  "interop/cli/",
  "interop/conformance/",
  "interop/mcp/",
  "interop/gateway/",
  "interop/tasks/"
]

class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((part) => moduleId.includes(`/test/${part}`))
      return at < 0 ? LONG.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Loading Effect and our sources takes longer than most files' tests: a worker does it once, not once per file. No test
    // keeps anything in a module.
    isolate: false,
    // One more than there are cores: the tests of whole processes wait for each other most of the time.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongFirst },
    // Programs that tests start share their compiled code.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("dist/.compiled", import.meta.url)) },
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
