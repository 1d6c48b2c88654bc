/** Plays the cases that `fuzz.mjs` sends, and answers with how many inputs they were, or with the first that broke a rule. */
import * as Fuzzer from "../../test/fuzz/Fuzzer.ts"
import * as Targets from "../../test/fuzz/Targets.ts"

/** Cases of one target. */
interface Piece {
  readonly target: string
  readonly seed: number
  readonly from: number
  readonly cases: number
}

const play = ({ cases, from, seed, target: name }: Piece): object => {
  const target = Targets.all.find((target) => target.name === name)
  const startedAtMs = performance.now()
  let inputs = 0
  try {
    for (let index = from; index < from + cases; index++) if (target) inputs += Fuzzer.playCase(target, seed, index)
    return { inputs, ms: performance.now() - startedAtMs }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { inputs, ms: performance.now() - startedAtMs, error: text }
  }
}

process.on("message", (piece: Piece) => process.send?.(play(piece)))
