/* session.h: what tests and the bench see of a session beyond solo.h. */
#ifndef SOLO_SESSION_H
#define SOLO_SESSION_H

#include "plan.h"

/* Sets the abort word from the host, as a hand-off that timed out would, before the next step. */
void solo_session_abort_for_test(solo_session *session);

#endif
