"""The challenger: in the shadow, or as a canary that goes by itself when it is worse."""
