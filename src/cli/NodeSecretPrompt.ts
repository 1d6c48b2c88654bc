/** A line typed at the terminal without being shown. The question goes to standard error: standard output is for data. */
import process from "node:process"
import { Effect } from "effect"

/** What was typed up to Enter; `undefined` without a terminal, or for Ctrl-C and Ctrl-D. */
export const ask = (question: string): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const { stderr, stdin } = process
    if (!stdin.isTTY) return resume(Effect.undefined)
    let typed = ""
    const end = (answer: string | undefined) => {
      stop()
      stderr.write("\n")
      resume(Effect.succeed(answer))
    }
    const take = (chunk: Buffer) => {
      for (const character of chunk.toString("utf8")) {
        if (character === "\r" || character === "\n") return end(typed)
        if (character === "\u0003" || character === "\u0004") return end(undefined)
        typed = character === "\u007f" || character === "\b" ? [...typed].slice(0, -1).join("") : typed + character
      }
    }
    const stop = () => {
      stdin.off("data", take)
      stdin.setRawMode(false)
      stdin.pause()
    }
    stderr.write(question)
    stdin.setRawMode(true)
    stdin.resume()
    stdin.on("data", take)
    return Effect.sync(stop)
  })
