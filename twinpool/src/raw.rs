//! Sends and receives JSON through an SDK client without the SDK's types.
//!
//! The SDK's types drop members that they do not know, and an operation such as UpdateUserPool resets every setting that the request
//! leaves out. Settings that are written back are therefore kept as the JSON that was received.

use std::sync::{Arc, Mutex};

use aws_sdk_cognitoidentityprovider::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_cognitoidentityprovider::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cognitoidentityprovider::error::BoxError;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// Interceptor that keeps the body of the answer as it was received.
#[derive(Clone, Debug, Default)]
pub struct RawAnswer(Arc<Mutex<Vec<u8>>>);

impl RawAnswer {
    /// A member of the answer that is an object; `None` if there is no such member.
    pub fn object(&self, name: &str) -> Option<Object> {
        let body = self.0.lock().ok()?;
        let mut answer: Object = serde_json::from_slice(&body).ok()?;
        match answer.remove(name)? {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The whole answer; `None` if there was none.
    pub fn whole(&self) -> Option<Object> {
        serde_json::from_slice(&self.0.lock().ok()?).ok()
    }
}

impl Intercept for RawAnswer {
    fn name(&self) -> &'static str {
        "RawAnswer"
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

/// Replaces the body of a request. The SDK signs the request afterwards.
pub fn with_body(body: Object) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let body = Value::Object(body).to_string();
    move |request| {
        let length = body.len().to_string();
        request.headers_mut().insert("content-length", length);
        *request.body_mut() = SdkBody::from(body.as_str());
    }
}
