//! JSON that goes through an SDK client as it is.
//!
//! The SDK's types drop what they do not know, and an operation such as UpdateUserPool resets what it is not given. So settings
//! that are written back are neither read nor written through types.

use std::sync::{Arc, Mutex};

use aws_sdk_cognitoidentityprovider::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_cognitoidentityprovider::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cognitoidentityprovider::error::BoxError;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// Listens to a call, and keeps the answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer(Arc<Mutex<Vec<u8>>>);

impl Answer {
    /// An object within the answer; none when it is not there.
    pub fn object(&self, name: &str) -> Option<Object> {
        let body = self.0.lock().ok()?;
        let mut answer: Object = serde_json::from_slice(&body).ok()?;
        match answer.remove(name)? {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The whole answer.
    pub fn whole(&self) -> Option<Object> {
        serde_json::from_slice(&self.0.lock().ok()?).ok()
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        if let Ok(mut kept) = self.0.lock() {
            body.clone_into(&mut kept);
        }
        Ok(())
    }
}

/// Makes a request carry this instead of what the SDK wrote; it is signed afterwards.
pub fn request(body: Object) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let body = Value::Object(body).to_string();
    move |request| {
        let length = body.len().to_string();
        request.headers_mut().insert("content-length", length);
        *request.body_mut() = SdkBody::from(body.as_str());
    }
}
