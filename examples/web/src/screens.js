// Which screen a person sees next.

// region: steps
/** The screen for the next step of a sign-in, as Amplify names it. */
export function screenForStep(step) {
  const screens = {
    DONE: 'home',
    CONFIRM_SIGN_IN_WITH_TOTP_CODE: 'code',
    // A replica, or an imported person, after the new password: their authenticator of the other pool does not count here.
    CONTINUE_SIGN_IN_WITH_TOTP_SETUP: 'set-up-authenticator',
    CONFIRM_SIGN_UP: 'confirm-sign-up',
    RESET_PASSWORD: 'forgot-password',
  };
  return screens[step] ?? 'unexpected';
}
// endregion

// region: errors
/** What an error means to a person: the message, and the screen to show if it is another one. `mayHaveSwitched`: read the configuration again. */
export function screenForError(error) {
  switch (error.name) {
    // A wrong password. But also everybody after a switch: a replica has a random password, and an imported person none.
    case 'NotAuthorizedException':
    case 'UserNotFoundException':
      return { screen: 'sign-in', message: 'wrong-or-switched' };
    case 'PasswordResetRequiredException':
      return { screen: 'forgot-password', message: 'choose-a-new-password' };
    case 'UserNotConfirmedException':
      return { screen: 'confirm-sign-up', message: 'enter-the-code' };
    case 'UsernameExistsException':
    case 'AliasExistsException':
      return { screen: 'sign-in', message: 'you-have-an-account' };
    // The fence: closed, or open without sign-ups while the operator brings people home.
    case 'ForbiddenException':
      return { message: 'closed-for-a-moment', mayHaveSwitched: true };
    // The region does not answer.
    case 'NetworkError':
      return { message: 'unreachable', mayHaveSwitched: true };
    case 'TooManyRequestsException':
    case 'LimitExceededException':
      return { message: 'busy' };
    case 'CodeMismatchException':
    case 'ExpiredCodeException':
    case 'EnableSoftwareTokenMFAException':
      return { message: 'wrong-code' };
    case 'InvalidPasswordException':
      return { message: 'weak-password' };
    default:
      return { message: 'unexpected' };
  }
}
// endregion
