// Calls that many people make at the same time.

// region: retry
/** Repeats a call that Cognito throttles. The pauses are random, so that people who failed together do not come again together. */
export async function retrying(call, { attempts = 6, longest = 30_000, sleep = wait } = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const isThrottled = error.name === 'TooManyRequestsException';
      if (!isThrottled || attempt === attempts) throw error;
      await sleep(Math.random() * Math.min(longest, 1000 * 2 ** attempt));
    }
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
// endregion
