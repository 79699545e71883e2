"""Open Inference over gRPC: messages in, answers of the same models out."""
