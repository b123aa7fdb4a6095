"""What the two images share: schema, protocol, features, baselines, metrics. No TensorFlow here."""
