/*
 * Node functions: loads the handler and asks the Lambda Runtime API for one event after the other.
 *
 * Callback, async and response-streaming handlers; ES modules and CommonJS; console output in Lambda's line format, or as
 * JSON objects where the function asks for it. Own code of Lakebed; it needs nothing but node.
 *
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-logging.html
 */
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { PassThrough } from "node:stream";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const root = process.env.LAMBDA_TASK_ROOT;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const base = "/2018-06-01/runtime";
const STREAMING = Symbol.for("lakebed.lambda.streaming");
const INTEGRATION = "application/vnd.awslambda.http-integration-response";
let requestId = "";

/* ---- log ------------------------------------------------------------------------------------------------------- */

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const asJson = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const least = Math.max(0, LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL ?? "TRACE"));

function write(level, parts) {
  if (LEVELS.indexOf(level) < least) return;
  const timestamp = new Date().toISOString();
  let line;
  if (asJson) {
    const error = parts.find((part) => part instanceof Error);
    const message = parts.length === 1 && typeof parts[0] === "object" && !error ? parts[0] : format(...parts);
    line = JSON.stringify({ timestamp, level, requestId, message, ...(error ? described(error) : {}) }, plain);
  } else {
    line = `${timestamp}\t${requestId || "undefined"}\t${level}\t${format(...parts).replace(/\n/g, "\r")}`;
  }
  fs.writeSync(1, line + "\n");
}

const plain = (_key, value) => (typeof value === "bigint" ? value.toString() : value);

for (const [method, level] of Object.entries({
  trace: "TRACE", debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARN", error: "ERROR",
})) {
  console[method] = (...parts) => write(level, parts);
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */

function described(failure) {
  if (failure instanceof Error || (failure && typeof failure === "object" && "message" in failure)) {
    const trace = String(failure.stack ?? "").split("\n");
    return { errorType: failure.name ?? "Error", errorMessage: failure.message, trace };
  }
  return { errorType: typeof failure, errorMessage: String(failure), trace: [] };
}

class Named extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

/* ---- the Runtime API ------------------------------------------------------------------------------------------- */

function call(method, where, headers = {}) {
  return http.request({ host, port, agent, method, path: base + where, headers });
}

function send(where, body, headers = {}) {
  const bytes = Buffer.from(body);
  return new Promise((resolve, reject) => {
    const request = call("POST", where, { ...headers, "content-length": bytes.length });
    request.on("error", reject);
    request.on("response", (response) => response.resume().on("end", resolve));
    request.end(bytes);
  });
}

function next() {
  return new Promise((resolve, reject) => {
    const request = call("GET", "/invocation/next");
    request.on("error", reject);
    request.on("response", (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(pieces).toString() }));
    });
    request.end();
  });
}

function fail(where, failure) {
  const told = described(failure);
  return send(where, JSON.stringify(told), { "lambda-runtime-function-error-type": told.errorType });
}

/* ---- the handler ----------------------------------------------------------------------------------------------- */

function isModule(file) {
  if (file.endsWith(".mjs")) return true;
  if (file.endsWith(".cjs")) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const described = path.join(folder, "package.json");
    if (fs.existsSync(described)) return JSON.parse(fs.readFileSync(described, "utf8")).type === "module";
    if (folder === root || folder === path.dirname(folder)) return false;
  }
}

async function load(text) {
  const folder = path.dirname(text);
  const [, stem, name] = /^([^.]*)\.(.+)$/.exec(path.basename(text)) ?? [];
  if (!stem || text.includes("..")) throw new Named("Runtime.MalformedHandlerName", "Bad handler");
  const file = ["", ".js", ".mjs", ".cjs"]
    .map((ending) => path.resolve(root, folder, stem + ending))
    .find((candidate) => fs.existsSync(candidate) && fs.statSync(candidate).isFile());
  const where = path.join(folder, stem);
  if (!file) {
    throw new Named("Runtime.ImportModuleError", `Error: Cannot find module '${where}'\nRequire stack:\n- ${root}`);
  }
  let loaded;
  try {
    loaded = isModule(file) ? await import(pathToFileURL(file).href) : createRequire(file)(file);
  } catch (failure) {
    if (failure instanceof SyntaxError) throw new Named("Runtime.UserCodeSyntaxError", String(failure));
    if (failure?.code === "MODULE_NOT_FOUND" || failure?.code === "ERR_MODULE_NOT_FOUND") {
      throw new Named("Runtime.ImportModuleError", String(failure));
    }
    throw failure;
  }
  const found = name.split(".").reduce((inner, key) => inner?.[key], loaded);
  if (found === undefined) throw new Named("Runtime.HandlerNotFound", `${where}.${name} is undefined or not exported`);
  if (typeof found !== "function") throw new Named("Runtime.HandlerNotFound", `${where}.${name} is not a function`);
  return found;
}

globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = options ?? {};
    return handler;
  },
  HttpResponseStream: {
    from(stream, metadata) {
      stream.setContentType(INTEGRATION);
      stream.write(JSON.stringify(metadata));
      stream.write(Buffer.alloc(8));
      return stream;
    },
  },
};

/* ---- one event ------------------------------------------------------------------------------------------------- */

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const client = headers["lambda-runtime-client-context"];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    clientContext: client ? JSON.parse(client) : undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

let idle = null; // what to do when nothing is left to run: a callback's answer waits for that

process.on("beforeExit", () => {
  const then = idle;
  idle = null;
  if (then) then();
});

function buffered(handler, event, context) {
  return new Promise((resolve, reject) => {
    let called = false;
    const done = (failure, result) => {
      if (called) return;
      called = true;
      const finish = () => (failure ? reject(failure) : resolve(result));
      if (context.callbackWaitsForEmptyEventLoop && !failure) idle = finish;
      else finish();
    };
    context.done = done;
    context.succeed = (result) => done(null, result);
    context.fail = (failure) => done(failure ?? new Error("handled"));
    idle = () => {
      called = true;
      resolve(null);
    };
    const result = handler(event, context, done);
    if (result && typeof result.then === "function") {
      result.then(resolve, reject);
    } else if (result !== undefined && handler.length < 3) {
      resolve(null);
    }
  });
}

function streamed(handler, event, context) {
  return new Promise((resolve, reject) => {
    const stream = new PassThrough({ highWaterMark: 65536 });
    let type = "application/octet-stream";
    let request = null;
    stream.setContentType = (given) => {
      type = given;
    };
    const open = () => {
      if (request) return request;
      request = call("POST", `/invocation/${context.awsRequestId}/response`, {
        "lambda-runtime-function-response-mode": "streaming",
        "content-type": type,
        "transfer-encoding": "chunked",
        trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
      });
      request.on("error", reject);
      request.on("response", (response) => response.resume().on("end", resolve));
      return request;
    };
    stream.on("data", (piece) => {
      if (!open().write(piece)) {
        stream.pause();
        request.once("drain", () => stream.resume());
      }
    });
    stream.on("end", () => open().end());
    const failed = (failure) => {
      if (!request) return reject(failure);
      const told = described(failure);
      write("ERROR", ["Invoke Error ", JSON.stringify(told)]);
      request.addTrailers({
        "Lambda-Runtime-Function-Error-Type": told.errorType,
        "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(told)).toString("base64"),
      });
      stream.removeAllListeners("end");
      return request.end();
    };
    Promise.resolve()
      .then(() => handler(event, stream, context))
      .then(() => {
        if (!stream.writableEnded) stream.end();
      }, failed);
  });
}

async function one(handler) {
  const { headers, body } = await next();
  const context = contextOf(headers);
  requestId = context.awsRequestId;
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
  const where = `/invocation/${requestId}`;
  try {
    const event = JSON.parse(body);
    if (handler[STREAMING]) {
      await streamed(handler, event, context);
      return;
    }
    const result = await buffered(handler, event, context);
    idle = null;
    let text;
    try {
      text = JSON.stringify(result === undefined ? null : result);
    } catch (failure) {
      throw new Named("Runtime.MarshalError", `Unable to stringify response body: ${failure.message}`);
    }
    await send(`${where}/response`, text ?? "null");
  } catch (failure) {
    idle = null;
    write("ERROR", ["Invoke Error ", JSON.stringify(described(failure))]);
    await fail(`${where}/error`, failure);
  }
}

function dying(name) {
  return (failure) => {
    const told = described(failure);
    const named = Object.assign(new Error(told.errorMessage), { name: name ?? told.errorType });
    write("ERROR", [name ? "Unhandled Promise Rejection " : "Uncaught Exception ", JSON.stringify(told)]);
    const where = requestId ? `/invocation/${requestId}/error` : "/init/error";
    fail(where, named).finally(() => process.exit(name ? 128 : 129));
  };
}

process.on("unhandledRejection", dying("Runtime.UnhandledPromiseRejection"));
process.on("uncaughtException", dying(null));

let handler;
try {
  handler = await load(process.env._HANDLER);
} catch (failure) {
  write("ERROR", ["Uncaught Exception ", JSON.stringify(described(failure))]);
  await fail("/init/error", failure);
  process.exit(1);
}

function loop() {
  one(handler).then(loop);
}
loop();
