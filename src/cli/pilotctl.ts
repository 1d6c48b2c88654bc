/**
 * The program's first file. It must be read by any Node that a system may have, so it is old JavaScript in effect and
 * imports nothing before it knows where it runs.
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`error: pilotctl needs Node 22.19 or newer; this is Node ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  import("./main.ts").then(({ main }) => main(process.argv.slice(2)))
}

export {}
